// qkv regress: attention pooling as kernel regression, with the weights that make each prediction.
#include "experiments/regress.h"

#include "app/command.h"
#include "app/output.h"

namespace qkv::app {

void add_regress(Program& program) {
  auto options = std::make_shared<RegressOptions>();
  Command& c = program.command(
      "regress", "Predict a number as the mean of the rows nearby: attention as kernel regression");
  c.footer(
      "A prediction is Σ a·value with a = softmax(−½ Σ ((query − row) / σ)²). Printed: the query,\n"
      "the prediction, the weighted standard deviation of the values, over how many rows the mean\n"
      "goes (1 / Σ a²), and the heaviest rows.");
  c.positional("file", options->file,
               "Columns of numbers: features, and the value last (- for stdin)");
  c.options(*options);
  program.add_json(c, "Print JSON, all weights included");
  program.add_threads(c);
  c.action([options, &program] {
    const RegressReport report = regress(*options);
    program.console.line(report.summary());
    write_output(program.json ? report.json().dump() + "\n" : report.text());
  });
}

}  // namespace qkv::app
