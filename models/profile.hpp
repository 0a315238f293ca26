#pragma once

#include "attn/attn.hpp"
#include "runtime/session.hpp"

#include <vector>

namespace attn::models {

/// Adds what a session's ops cost to the rows of the sessions before, in the order of running. The
/// same work (op, shapes and kernel), of several layers or sessions, stands in one row.
void add_profile(std::vector<OpProfile>& rows, const runtime::Session& session);

}  // namespace attn::models
