#include "kernels/isa.hpp"

#include "attn/error.hpp"

#include <catch2/catch.hpp>

using namespace attn::kernels;

TEST_CASE("scalar runs everywhere and levels are named", "[isa]") {
  REQUIRE(isa_supported(Isa::scalar));
  REQUIRE(supported_isas().front() == Isa::scalar);
  for (const Isa isa : supported_isas()) {
    REQUIRE(choose_isa(isa_name(isa)).isa == isa);
  }
}

TEST_CASE("an unknown level is wrong use", "[isa]") {
  try {
    (void)choose_isa("sse9");
    FAIL("accepted");
  } catch (const attn::Error& error) {
    REQUIRE(error.kind() == attn::ErrorKind::usage);
    REQUIRE(std::string(error.what()).find("sse9") != std::string::npos);
  }
}
