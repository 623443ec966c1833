// How a language model is asked: draws or search, where texts end, conversations.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qkv/attention/cache_storage.h"
#include "qkv/base/options.h"
#include "qkv/systems/chat.h"

namespace qkv {

struct GeneratorOptions {
  std::int64_t tokens = 256;  // most tokens of a text
  double temperature = 1.0;   // 0: always the likeliest token
  bool greedy = false;        // the same
  std::int64_t top_k = 0;     // 0: all
  double top_p = 1.0;
  double repetition_penalty = 1.0;
  std::int64_t repetition_window = 0;
  std::uint64_t seed = 1;
  int beam = 0;  // > 0: beam search in place of drawing
  double length_penalty = 1.0;
  std::int64_t no_repeat_ngram_size = 0;  // no so many tokens in a row occur twice; 0: they may
  std::vector<std::string> stop = {};     // texts at which a text ends; they are no part of it
  ChatForm chat = ChatForm::none;         // a prompt is what a user says
  std::string system = {};                // with chat: what stands before it
  std::int64_t context = 0;  // how many tokens back softmax attention looks (0: all that fits)
  CacheType cache = CacheType::f32;  // precision of keys and values
  std::int64_t window = 0;           // > 0: a token sees so many back, and no more is kept
  bool line = false;                 // stop at the end of the line
  std::int64_t batch = 32;           // texts under way at once

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"tokens", "Most tokens to write", between(0, 1e9)}, o.tokens);
    visit(
        {"temperature", "Below 1 likelier tokens gain, above 1 they lose; 0: always the likeliest",
         non_negative()},
        o.temperature);
    visit({"greedy", "Always the likeliest token"}, o.greedy);
    visit({"top_k", "Draw from the k likeliest tokens (0: from all)", between(0, 1e9)}, o.top_k);
    visit({"top_p",
           "Draw from the likeliest tokens that reach this mass",
           {.least = 0, .most = 1, .open_least = true}},
          o.top_p);
    visit({"repetition_penalty", "Above 1: tokens that occurred lose", positive()},
          o.repetition_penalty);
    visit({"repetition_window", "How many tokens back that counts (0: all)", between(0, 1e9)},
          o.repetition_window);
    visit({"seed", "Of the draws"}, o.seed);
    visit(
        {"beam", "Search with a beam of this width instead of drawing (0: draw)", between(0, 1024)},
        o.beam);
    visit(
        {"length_penalty", "With --beam: exponent of the length normalisation", between(-100, 100)},
        o.length_penalty);
    visit({"no_repeat_ngram_size",
           "No so many tokens in a row occur twice, the prompt's too (0: any)", between(0, 1e9)},
          o.no_repeat_ngram_size);
    visit({.name = "stop",
           .help = "End before this text, which is not written; again for more",
           .repeat = true},
          o.stop);
    visit({"chat", "Prompts are what a user says, in the form that the model was taught"}, o.chat);
    visit({"system", "With --chat: what the model is told before"}, o.system);
    visit({"context", "How many tokens back softmax attention looks, at most (0: all that fits)",
           between(0, 1e9)},
          o.context);
    visit({"cache", "What keys and values are kept in; bf16 and int8 take less memory"}, o.cache);
    visit({"window", "A token sees itself and so many before it (0: all)", between(0, 1e9)},
          o.window);
    visit({"line", "Stop at the end of the line"}, o.line);
    visit({"batch", "Texts under way at once", between(1, 4096)}, o.batch);
  }
};

}  // namespace qkv
