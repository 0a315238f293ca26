#pragma once

#include "models/source/source.hpp"
#include "support/small_models.hpp"

#include <string>

namespace attn::test {

/// The model as a GGUF file: matrices in that type, which quantize() writes, and no tokenizer where
/// `text` is false. Rows of q and k stay in their order.
[[nodiscard]] std::string gguf_file(const SmallModel& model,
                                    runtime::DType type = runtime::DType::f32, bool text = true);

/// A llama in the Hugging Face layout, all F32, as a GGUF file without a tokenizer: the rows of q
/// and k are in the order of neighbours, as llama.cpp's converter has them
/// (reshape(heads, 2, head_dim / 2, in).swapaxes(1, 2)), so that it computes the same.
[[nodiscard]] std::string gguf_of_llama(const models::Source& source);

}  // namespace attn::test
