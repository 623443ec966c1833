// qkv explain: what a call of attention will do, before (and, on demand, while) it does it.
#include "app/command.h"
#include "app/output.h"
#include "experiments/call_description.h"

namespace qkv::app {

void add_explain(Program& program) {
  program.group("explain", "Say what a computation will do");
  Command& command = program.command("explain attention",
                                     "Which loops and tiles a call takes and what its mask saves");
  auto call = std::make_shared<CallDescription>();
  command.options(*call);
  program.add_json(command, "Print JSON");
  program.add_threads(command);
  command.action([call, &program] {
    const CallReport report = explain_call(*call);
    write_output(program.json ? report.json.dump() + "\n" : report.text);
  });
}

}  // namespace qkv::app
