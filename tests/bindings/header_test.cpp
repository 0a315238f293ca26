// The C headers in C++, and what C has no word for: a callback that throws.

#include "attn/attn.h"
#include "attn/tune.h"

#include <catch2/catch.hpp>

#include <stdexcept>
#include <string>

TEST_CASE("an exception in a callback becomes a status", "[c]") {
  const attn_parameter parameters[] = {
      {"sentence", "a b c"}, {"size_words", "b"}, {"embedding_dim", "4"}};
  attn_error error{};
  attn_model* model = nullptr;
  REQUIRE(attn_model_create("size_loss_attention", parameters, 3, 1, nullptr, &model, &error) ==
          ATTN_OK);
  attn_train_options options{};
  REQUIRE(attn_train_options_init(&options, sizeof options) == ATTN_OK);
  options.on_epoch = [](void*, const attn_epoch*) -> int { throw std::runtime_error("enough"); };
  CHECK(attn_model_train(model, &options, nullptr, &error) == ATTN_UNEXPECTED);
  CHECK(error.status == ATTN_UNEXPECTED);
  CHECK(std::string(error.message) == "enough");
  options.on_epoch = [](void*, const attn_epoch*) -> int { throw 7; };
  CHECK(attn_model_train(model, &options, nullptr, &error) == ATTN_UNEXPECTED);
  options.on_epoch = nullptr;
  CHECK(attn_model_train(model, &options, nullptr, &error) == ATTN_OK);
  CHECK(attn_model_free(model) == ATTN_OK);
}
