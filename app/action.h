// The commands around models of actions: `qkv action` and `qkv train action`.
#pragma once

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's
class App;
}

namespace qkv::app {

struct Program;

void add_action(Program& program);
void add_train_action(CLI::App& train, Program& program);

}  // namespace qkv::app
