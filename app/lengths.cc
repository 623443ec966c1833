// qkv lengths: how well translators do at each length of the source.
#include <filesystem>

#include "app/command.h"
#include "app/output.h"
#include "experiments/length_curves.h"

namespace qkv::app {

void add_lengths(Program& program) {
  auto options = std::make_shared<LengthOptions>();
  LengthOptions& o = *options;
  Command& c =
      program.command("lengths", "How translators do at each length, with and without attention");
  c.footer(
      "Without --models: trains small recurrent models to write sequences backwards and tries "
      "them\n"
      "beyond the lengths they saw (about half a minute of one core). With them: BLEU by the "
      "length\n"
      "of the source.");
  c.option({"output", "Where lengths.svg and lengths.json go"}, o.directory);
  c.options(o.trials, "Made-up sequences");
  c.options(o.given, "Given translators");
  program.add_json(c, "Print JSON instead of the table");
  program.add_threads(c);
  c.action([options, &program] {
    Console& console = program.console;
    const LengthReport report =
        length_curves(*options, {.progress = console.progress(), .line = {}});
    console.clear();
    write_output(program.json ? report.json().dump() + "\n" : report.text());
    console.line("wrote " + (std::filesystem::path(options->directory) / "lengths.svg").string() +
                 " and lengths.json");
  });
}

}  // namespace qkv::app
