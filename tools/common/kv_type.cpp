#include "tools/common/kv_type.hpp"

#include "attn/error.hpp"

namespace attn::tools {

KvType kv_type(const std::optional<std::string>& text) {
  if (!text) return KvType::f32;
  for (const KvType type : {KvType::f32, KvType::bf16, KvType::q8_0}) {
    if (*text == kv_type_name(type)) return type;
  }
  throw Error(ErrorKind::usage, "--kv-type " + *text + ": needs f32, bf16 or q8_0");
}

const char* kv_type_name(KvType type) noexcept {
  switch (type) {
    case KvType::bf16: return "bf16";
    case KvType::q8_0: return "q8_0";
    case KvType::f32: break;
  }
  return "f32";
}

}  // namespace attn::tools
