#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace attn::models {

/// Tokens that lookup_draft() gives at most: read together with the last token they are the 8 rows
/// up to which a row's bits are its own, so that the answer is the same with them and without.
inline constexpr int most_drafted = 7;

/// What may come next, by what came before (prompt lookup: Saxena 2023): the tokens after the
/// latest of the longest earlier occurrences of the last ones, `most` at most, fewer after a short
/// one; none where not even the last two tokens stood together before. Time: the length of
/// `tokens`.
[[nodiscard]] std::vector<std::int32_t> lookup_draft(std::span<const std::int32_t> tokens,
                                                     int most);

}  // namespace attn::models
