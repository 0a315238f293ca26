#include "bindings/c/host.hpp"

#include "bindings/c/handles.hpp"
#include "bindings/c/structs.hpp"

namespace attn::c {
namespace {

attn_model_options model_defaults() noexcept {
  attn_model_options options{};
  options.struct_size = sizeof options;
  return options;
}

}  // namespace

std::optional<CancelToken> token_of(attn_cancel* cancel) {
  if (cancel == nullptr) return std::nullopt;
  return live(cancel).token;
}

OnProgress progress(attn_progress given, void* user) {
  if (given == nullptr) return nullptr;
  return [given, user](std::int64_t done, std::int64_t total) {
    if (given(user, done, total) != 0) {
      throw Error(ErrorKind::cancelled, "the progress callback asked for an end");
    }
  };
}

Options model_options(const attn_model_options* given) {
  const attn_model_options c = taken(given, model_defaults(), "attn_model_options");
  Options options;
  options.threads = c.threads;
  options.isa = text_or_none(c.isa);
  options.verify = c.verify != 0;
  options.precision = one_of(c.precision, Precision::bf16, "precision");
  for (const attn_adapter& adapter : array(c.adapters, c.adapter_count, "adapters")) {
    options.adapters.push_back({text(adapter.folder, "adapter: folder"), adapter.scale});
  }
  if (c.parallel_for != nullptr) {
    options.parallel_for = [f = c.parallel_for, user = c.parallel_for_user](
                               int tasks, attn_task task, void* context) {
      f(user, tasks, task, context);
    };
  }
  if (c.allocate != nullptr) {
    options.allocator.allocate = [f = c.allocate, user = c.allocator_user](std::size_t bytes,
                                                                           std::size_t alignment) {
      return f(user, bytes, alignment);
    };
  }
  if (c.release != nullptr) {
    options.allocator.release = [f = c.release, user = c.allocator_user](
                                    void* data, std::size_t bytes, std::size_t alignment) {
      f(user, data, bytes, alignment);
    };
  }
  if (c.log != nullptr) {
    options.log = [f = c.log, user = c.log_user](LogLevel level, std::string_view line) {
      f(user, static_cast<attn_log_level>(level), std::string(line).c_str());
    };
  }
  options.cancel = token_of(c.cancel);
  return options;
}

}  // namespace attn::c

attn_status attn_model_options_init(attn_model_options* options, size_t struct_size) {
  return attn::c::init(options, struct_size, attn::c::model_defaults());
}
