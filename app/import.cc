// qkv import: a model of another program, or of an older qkv, as a directory of this one.
#include <filesystem>

#include "app/command.h"
#include "app/output.h"
#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/systems/open.h"
#include "qkv/train/run_directory.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string source, directory;
  bool overwrite = false;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({"overwrite", "Write over a model of qkv that is there already"}, s.overwrite);
  }
};

void run(const Settings& s, Program& program) {
  std::error_code code;
  if (std::filesystem::equivalent(s.source, s.directory, code)) {
    throw UsageError(fmt::format("{}: cannot be imported into itself", s.directory));
  }
  (void)begin_of(s.directory, s.overwrite);
  const System system = qkv::open(s.source);
  const Info info = info_of(system);
  for (const std::string& note : info.notes) program.console.line("qkv: " + note);
  std::visit([&](const auto& model) { model.save(s.directory); }, system);
  write_output(fmt::format("{}: {} ({}); ask it with qkv {}\n", s.directory, info.task,
                           info.summary, verb_of(system)));
}

}  // namespace

void add_import(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("import", "Make another program's model a model directory of qkv");
  c.footer(
      "Other commands read such a directory just so; importing checks it once, keeps what is used "
      "and adds checksums.");
  c.positional("source", s->source, "Directory of the model, or its .argosmodel", true);
  c.positional("directory", s->directory, "Where the model directory shall stand", true);
  c.options(*s);
  c.action([s, &program] { run(*s, program); });
}

}  // namespace qkv::app
