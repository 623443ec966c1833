// qkv compare: encoders against each other on the same data, with equal numbers of parameters.
#include "experiments/compare.h"

#include "app/command.h"
#include "app/output.h"

namespace qkv::app {

void add_compare(Program& program) {
  auto options = std::make_shared<CompareOptions>();
  CompareOptions& o = *options;
  Command& c = program.command(
      "compare", "Compare encoders: same data, equal parameters, several seeds and sizes");
  c.footer(
      "Scores are those of qkv train: F1 of spans, accuracy of other tags or of classes; mean and\n"
      "standard deviation over the seeds, each with its own draw of the sentences. Every finished\n"
      "run is kept in DIR/runs.jsonl: stop with Ctrl-C, and the same command goes on.");
  c.positional("task", o.task,
               "tag or classify (files), or a puzzle: parity of each word's count so far, first "
               "(every word is tagged with the first), both (do a and b occur?)",
               true);
  c.options(o.files, "Data");
  c.options(o.puzzle, "Puzzles");
  c.options(o, "Comparison");
  program.add_json(c, "Print what compare.json holds");
  program.add_threads(c);
  c.action([options, &program] {
    Console& console = program.console;
    const CompareReport report =
        compare(*options, {.progress = console.progress(),
                           .line = [&](const std::string& line) { console.line(line); }});
    write_output(program.json ? report.json.dump() + "\n" : report.text());
  });
}

}  // namespace qkv::app
