// qkv export: a model as a directory that other programs read.
#include "qkv/systems/export/export.h"

#include <filesystem>

#include "app/command.h"
#include "app/output.h"
#include <fmt/format.h>

#include "qkv/io/new_folder.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string directory, target;
  ExportFormat format = ExportFormat::huggingface;
  ExportOptions options;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({"format", "Whose form"}, s.format);
    ExportOptions::each(s.options, visit);
  }
};

void run(const Settings& s, Program& program) {
  require_no_files(s.target);  // before anything is read
  const Exported done = export_system(qkv::open(s.directory), s.target, s.format, s.options);
  for (const std::string& note : done.notes) program.console.line("qkv: " + note);
  write_output(fmt::format("{}: {}\n", s.target, done.form));
}

}  // namespace

void add_export(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("export", "Write a model as another program's directory");
  c.footer(
      "Of BERTs, their taggers and classifiers, language models and translators; what no class of "
      "transformers has is refused by name.\n--format swinir: of models of pictures, the names of "
      "SwinIR's code. docs/elsewhere.md says more.");
  c.positional("directory", s->directory, "Directory of the model", true);
  c.positional("target", s->target, "Where the new directory shall stand", true);
  c.options(*s);
  c.action([s, &program] { run(*s, program); });
}

}  // namespace qkv::app
