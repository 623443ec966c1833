// What the benchmarks share.
#pragma once

#include <string>
#include <vector>

#include "app/command.h"

#include "qkv/decode/batch_translator.h"

namespace qkv::app {

double median(std::vector<double> values);

struct BenchDecode {
  std::string model, file, preset = "tiny", output;
  std::int64_t sentences = 200;
  int runs = 5;
  BatchTranslatorOptions options;
};
void add_bench_decode(CLI::App& bench, Program& program);
void add_bench_generate(CLI::App& bench, Program& program);
void add_bench_label(CLI::App& bench, Program& program);
void add_bench_linear(CLI::App& bench, Program& program);
void add_bench_additive(CLI::App& bench, Program& program);
void add_bench_rnn(CLI::App& bench, Program& program);
void add_bench_attention(CLI::App& bench, Program& program);

}  // namespace qkv::app
