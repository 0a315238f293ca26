#include "bindings/c/handles.hpp"

using attn::c::call;
using attn::c::live;
using attn::c::required;

attn_status attn_cancel_create(attn_cancel** cancel, attn_error* error) {
  return call(error, [&] {
    attn_cancel*& to = required(cancel, "cancel");
    to = new attn_cancel;
  });
}

attn_status attn_cancel_request(attn_cancel* cancel) {
  return call(nullptr, [&] { live(cancel).token.cancel(); });
}

attn_status attn_cancel_reset(attn_cancel* cancel) {
  return call(nullptr, [&] { live(cancel).token.reset(); });
}

attn_status attn_cancel_free(attn_cancel* cancel) { return attn::c::free_handle(cancel); }
