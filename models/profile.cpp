#include "models/profile.hpp"

#include <algorithm>

namespace attn::models {

void add_profile(std::vector<OpProfile>& rows, const runtime::Session& session) {
  for (const runtime::ProfileRow& row : session.profile()) {
    const auto same = std::find_if(rows.begin(), rows.end(), [&](const OpProfile& other) {
      return other.op == row.op && other.shape == row.shape && other.implementation == row.note;
    });
    if (same == rows.end()) {
      rows.push_back({row.op, row.shape, row.note, row.calls, row.seconds});
    } else {
      same->calls += row.calls;
      same->seconds += row.seconds;
    }
  }
}

}  // namespace attn::models
