// qkv info: what a model directory holds.
#include "app/command.h"
#include "app/output.h"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/io/directory.h"
#include "qkv/systems/open.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string directory;
  bool tensors = false;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({"tensors", "List the weights"}, s.tensors);
  }
};

nlohmann::json json_of(const Settings& s, const Info& info) {
  const std::filesystem::path config = std::filesystem::path(s.directory) / kConfigFile;
  std::error_code code;  // CTranslate2's old directories have none
  nlohmann::json json =
      std::filesystem::exists(config, code) ? read_json(config) : nlohmann::json();
  json["parameters"] = info.parameters;
  json["options"] = nlohmann::json::object();
  for (const auto& [name, value] : info.options) json["options"][name] = value;
  if (!info.notes.empty()) json["notes"] = info.notes;
  if (!s.tensors) return json;
  json["tensors"] = nlohmann::json::object();
  for (const auto& t : info.tensors) json["tensors"][t.name] = t.shape;
  return json;
}

std::string text_of(const Settings& s, const Info& info) {
  std::string text =
      fmt::format("{}\n  task        {} ({})\n", s.directory, info.task, info.summary);
  for (const auto& [name, value] : info.facts) text += fmt::format("  {:<11} {}\n", name, value);
  text += fmt::format("  parameters  {}\n", grouped(info.parameters));
  std::string line = "  options    ";
  for (const auto& [name, value] : info.options) {
    if (value.empty()) continue;
    const std::string one = fmt::format(" {} {},", name, value);
    if (line.size() + one.size() > 100) {
      text += line + "\n";
      line = "             ";
    }
    line += one;
  }
  if (line.ends_with(',')) line.pop_back();
  text += line + "\n";
  const std::filesystem::path config = std::filesystem::path(s.directory) / kConfigFile;
  std::error_code code;
  text +=
      fmt::format("  manifest    {}\n", std::filesystem::exists(config, code) &&
                                                ModelDirectory(s.directory).has_manifest()
                                            ? "sizes and checksums of all files fit"
                                            : "none: nothing says that the files belong together");
  for (const std::string& note : info.notes) text += fmt::format("  note        {}\n", note);
  if (!s.tensors) return text;
  for (const auto& t : info.tensors) {
    text += fmt::format("    {:<44} [{}]\n", t.name, fmt::join(t.shape, " "));
  }
  return text;
}

}  // namespace

void add_info(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("info", "Say what a model directory holds");
  c.positional("model", s->directory, "Model directory", true);
  c.options(*s);
  program.add_json(c, "Print JSON");
  c.action([s, &program] {
    const Info info = info_of(qkv::open(s->directory));
    write_output(program.json ? json_of(*s, info).dump(2) + "\n" : text_of(*s, info));
  });
}

}  // namespace qkv::app
