// qkv: one program, verbs first. Exit codes: 0 done, 1 failed (one line says what, where and what
// to do), 2 wrong usage, 130 interrupted with the state saved.
#include <csignal>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "app/action.h"
#include "app/command.h"
#include "app/config_file.h"
#include <fmt/core.h>

#include "qkv/base/parallel.h"

namespace qkv::app {

void add_threads(CLI::App& command, Program& program) {
  command.add_option("--threads", program.threads, "Threads to compute with (default: all cores)")
      ->check(CLI::PositiveNumber);
}

void apply_threads(const Program& program) {
  if (program.threads > 0) set_threads(program.threads);
}

namespace {

int run(int argc, char** argv) {
  // A reader that went away shows as a failed write, where it can be told from a full disk.
  std::signal(SIGPIPE, SIG_IGN);
  Program program;
  CLI::App& cli = program.cli;
  cli.description("qkv: train attention models, run them, look at them");
  cli.name("qkv");
  cli.set_version_flag("--version", "qkv " QKV_VERSION);
  cli.require_subcommand(1);
  cli.fallthrough(false);
  cli.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  add_demo(program);
  add_train(program);
  add_translate(program);
  add_label(program);
  add_action(program);
  add_generate(program);
  add_perplexity(program);
  add_fill(program);
  add_embed(program);
  add_look(program);
  add_score(program);
  add_info(program);
  add_bench(program);
  add_explain(program);
  add_lengths(program);
  add_compare(program);
  add_regress(program);
  add_similar(program);
  cli.footer("qkv COMMAND --help tells more.");
  try {
    std::vector<std::string> arguments = with_config_file({argv + 1, argv + argc});
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them last first
    cli.parse(std::move(arguments));
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return cli.exit(e);
    if (argc > 1 && argv[1][0] != '-' && cli.get_subcommands().empty()) {
      fmt::print(stderr, "qkv: there is no command '{}'\nqkv: see qkv --help\n", argv[1]);
      return 2;
    }
    fmt::print(stderr, "qkv: {}\nqkv: see qkv {}--help\n", e.what(),
               cli.get_subcommands().empty() ? "" : cli.get_subcommands()[0]->get_name() + " ");
    return 2;
  } catch (const Interrupted&) {
    return 130;
  } catch (const ClosedPipe&) {
    return 0;
  } catch (const std::bad_alloc&) {
    program.console.clear();
    fmt::print(stderr, "qkv: out of memory; try smaller batches\n");
    return 1;
  } catch (const std::exception& e) {
    program.console.clear();
    fmt::print(stderr, "qkv: {}\n", e.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace qkv::app

int main(int argc, char** argv) { return qkv::app::run(argc, argv); }
