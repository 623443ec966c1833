// qkv: one program, verbs first. Exit codes: 0 done, 1 failed (one line says what, where and what
// to do), 2 wrong usage, 130 interrupted with the state saved.
#include <algorithm>
#include <new>
#include <sstream>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/output.h"
#include "app/process.h"
#include <CLI/CLI.hpp>

#include "qkv/base/notice.h"
#include "qkv/base/parallel.h"

namespace qkv::app {

namespace {

void add_verbs(Program& program) {
  add_demo(program);
  add_train(program);
  add_translate(program);
  add_label(program);
  add_transcribe(program);
  add_action(program);
  add_generate(program);
  add_perplexity(program);
  add_fill(program);
  add_embed(program);
  add_look(program);
  add_score(program);
  add_info(program);
  add_import(program);
  add_export(program);
  add_bench(program);
  add_explain(program);
  add_lengths(program);
  add_compare(program);
  add_regress(program);
  add_similar(program);
  add_tokenise(program);
  add_twins(program);
  add_score_samples(program);
  add_upscale(program);
}

/// Reads the command line and does what it says; returns the exit code of what went well or was
/// not understood, throws all else.
int parse_and_run(Program& program, const std::vector<std::string>& words) {
  CLI::App& cli = *program.cli;
  try {
    std::vector<std::string> arguments = words;
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them last first
    cli.parse(std::move(arguments));
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) {  // --help, --version
      std::ostringstream text;
      cli.exit(e, text, text);
      write_output(text.str());
      return 0;
    }
    if (!words.empty() && words[0][0] != '-' && cli.get_subcommands().empty()) {
      print_error("qkv: there is no command '{}'\nqkv: see qkv --help\n", words[0]);
    } else {
      print_error("qkv: {}\nqkv: see qkv {}--help\n", e.what(),
                  cli.get_subcommands().empty() ? "" : cli.get_subcommands()[0]->get_name() + " ");
    }
    return 2;
  }
  for (const auto& command : program.commands) {
    if (!command->chosen()) continue;
    try {
      command->set_options();
      if (program.threads > 0) set_threads(program.threads);
      command->act();
    } catch (const UsageError& e) {
      program.console.clear();
      print_error("qkv: {}\nqkv: see qkv {} --help\n", e.what(), command->path());
      return 2;
    }
  }
  return 0;
}

int run(const std::vector<std::string>& words) {
  Program program;
  set_notice_sink([&program](std::string_view line) {
    program.console.clear();
    print_error("qkv: {}\n", line);
  });
  CLI::App& cli = *program.cli;
  cli.description("qkv: train attention models, run them, look at them");
  cli.name("qkv");
  cli.set_version_flag("--version", "qkv " QKV_VERSION);
  cli.require_subcommand(1);
  cli.fallthrough(false);
  cli.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  add_verbs(program);
  cli.footer("qkv COMMAND --help tells more.");
  try {
    const int code = parse_and_run(program, words);
    flush_output();
    return code;
  } catch (const Interrupted&) {
    return 130;
  } catch (const ClosedPipe&) {
    return 0;
  } catch (const std::bad_alloc&) {
    program.console.clear();
    write_error("qkv: out of memory; try smaller batches\n");
    return 1;
  } catch (const std::exception& e) {
    program.console.clear();
    print_error("qkv: {}\n", e.what());
    return 1;
  }
}

}  // namespace
}  // namespace qkv::app

int main(int argc, char** argv) {
  qkv::app::prepare_process(argv);
  return qkv::app::run({argv + 1, argv + argc});
}
