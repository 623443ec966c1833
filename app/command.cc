#include "app/command.h"

#include <CLI/CLI.hpp>

namespace qkv::app {

Program::Program() : cli(std::make_unique<CLI::App>()) {}
Program::~Program() = default;

CLI::App& Program::group(const std::string& name, const std::string& about) {
  for (CLI::App* known :
       cli->get_subcommands([&](const CLI::App* c) { return c->get_name() == name; })) {
    return *known;
  }
  CLI::App* made = cli->add_subcommand(name, about);
  made->require_subcommand(1);
  return *made;
}

Command& Program::command(const std::string& path, const std::string& about) {
  CLI::App* parent = cli.get();
  const auto space = path.find(' ');
  if (space != std::string::npos) {
    parent = &group(path.substr(0, space));
  }
  CLI::App* app = parent->add_subcommand(path.substr(space + 1), about);
  commands.push_back(std::make_unique<Command>(*app, path));
  return *commands.back();
}

void Program::add_threads(Command& command) {
  command.option({.name = "threads",
                  .help = "Threads to compute with (default: all cores)",
                  .bounds = between(1, 1'000'000)},
                 threads);
}

void Program::add_json(Command& command, const char* help) {
  command.option({.name = "json", .help = help}, json);
}

}  // namespace qkv::app
