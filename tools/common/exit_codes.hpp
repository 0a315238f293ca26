#pragma once

namespace attn::tools {

// The exit codes that no attn::Error gives; the others are Error::exit_code().
inline constexpr int exit_done = 0;
inline constexpr int exit_interrupted = 130;  ///< 128 + SIGINT, as shells report it

}  // namespace attn::tools
