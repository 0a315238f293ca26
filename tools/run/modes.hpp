#pragma once

#include "attn/attn.hpp"
#include "tools/common/output.hpp"
#include "tools/run/arguments.hpp"

#include <string>

namespace attn::tools {

/// The model of this run.
struct Opened {
  Model model;
  std::string name;  ///< for messages
  double seconds = 0;
};

// What attn-run can do, a file each. All throw attn::Error for what is wrong with the arguments or
// what they lead to, and Interrupted.

/// A teaching model on tensors: tables, a ranking, pictures.
void run_tensors(const Arguments& arguments, Opened& opened, Out& out);

/// --tokenize.
void print_tokens(const Arguments& arguments, const Opened& opened, Out& out);

/// --embed, --similarity, and the attention of one text.
void run_encoder(const Arguments& arguments, Opened& opened, Out& out);

/// --perplexity.
void print_perplexity(const Arguments& arguments, const Opened& opened, Out& out);

/// A prompt and what follows it, streamed; logits, attention.
void generate(const Arguments& arguments, Opened& opened, Out& out);

/// --batch-file: many prompts together.
void generate_from_file(const Arguments& arguments, Opened& opened, Out& out);

/// --chat at the terminal: a line is a question.
void converse(const Arguments& arguments, const Opened& opened, Out& out);

}  // namespace attn::tools
