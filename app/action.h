// The commands around models of actions: `qkv action`, `qkv train action`, `qkv bench action`.
#pragma once

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's
class App;
}

namespace qkv::app {

struct Program;

void add_action(Program& program);
void add_train_action(CLI::App& train, Program& program);
void add_bench_action(CLI::App& bench, Program& program);

}  // namespace qkv::app
