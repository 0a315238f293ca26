#pragma once

#include <map>
#include <string>
#include <string_view>

namespace attn::tools {

/// The page with @{name} replaced by the value of that name, in one walk: what is put in is never
/// looked at again, whatever it contains.
[[nodiscard]] std::string filled(std::string_view page,
                                 const std::map<std::string_view, std::string>& values);

}  // namespace attn::tools
