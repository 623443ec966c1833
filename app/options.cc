#include "app/options.h"

#include <algorithm>
#include <utility>

#include "app/config_file.h"
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "qkv/base/error.h"

namespace qkv::app {

/// An option as people see it; it may set several fields.
struct Command::Entry {
  std::string flag;
  OptionField::Kind kind = OptionField::Kind::text;
  bool required = false, positional = false, direct = false, taken = false;
  bool switched = false;  // a flag without a value
  std::vector<OptionField> fields;
  std::vector<std::string> values;
  std::string shown;  // "--warm-up", or "run.toml:3: warm-up"
  bool given = false, in_file = false;

  /// A value in a file that will not do is a fault of the file, not of the command line.
  void set(const OptionField& field) const try {
    field.set(values, shown);
  } catch (const UsageError& e) {
    if (in_file) throw Error(e.what());
    throw;
  }
};

namespace {

/// A number outside the bounds stands for what the help says in words.
std::string shown_default(const OptionField& f) {
  using Kind = OptionField::Kind;
  const std::string text = f.get();
  const bool number = f.kind == Kind::integer || f.kind == Kind::number;
  if (number && !f.about.bounds.contains(std::strtod(text.c_str(), nullptr))) return {};
  return f.kind == Kind::flag && text == "no" ? std::string() : text;
}

std::string type_of(const OptionField& f) {
  using Kind = OptionField::Kind;
  const std::string bounds =
      f.kind == Kind::integer || f.kind == Kind::number ? to_string(f.about.bounds) : std::string();
  switch (f.kind) {
    case Kind::flag:
      return "yes|no";
    case Kind::integer:
      return bounds.empty() ? "N" : "N " + bounds;
    case Kind::number:
      return bounds.empty() ? "X" : "X " + bounds;
    case Kind::choice:
      return fmt::format("{}", fmt::join(f.choices, "|"));
    case Kind::list:
      return f.choices.empty() ? "TEXT" : fmt::format("{},…", fmt::join(f.choices, "|"));
    case Kind::text:
      return "TEXT";
  }
  return {};
}

}  // namespace

Command::Command(CLI::App& app, std::string path) : app_(app), path_(std::move(path)) {
  app.add_option("--config", config_, "Options from a TOML file with lines `option = value`")
      ->type_name("FILE");
}
Command::~Command() = default;

void Command::footer(const std::string& text) { app_.footer(text); }

Command::Entry* Command::find(std::string_view flag) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const auto& e) { return e->flag == flag; });
  return found == entries_.end() ? nullptr : found->get();
}

void Command::add(OptionField&& field, std::string_view group, bool direct) {
  using Kind = OptionField::Kind;
  if (*field.about.help == '\0') return;
  if (Entry* known = find(field.flag)) {  // another field behind the same flag
    if (direct) known->fields.push_back(std::move(field));
    return;
  }
  auto made = std::make_unique<Entry>();
  Entry* entry = made.get();
  entry->flag = field.flag;
  entry->kind = field.kind;
  entry->required = field.about.required;
  entry->direct = direct;
  entry->shown = "--" + field.flag;
  entry->switched = field.kind == Kind::flag && field.get() != "yes";
  entries_.push_back(std::move(made));
  CLI::Option* option = nullptr;
  if (entry->switched) {
    option = app_.add_flag_function(
        entry->shown,
        [entry](std::int64_t count) {
          entry->values = {count < 0 ? "no" : "yes"};
          entry->given = true;
        },
        field.about.help);
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  } else {
    option = app_.add_option_function<std::vector<std::string>>(
        entry->shown,
        [entry](const std::vector<std::string>& values) {
          entry->values = values;
          entry->given = true;
        },
        field.about.help);
    option->type_name(type_of(field));
    if (field.kind != Kind::list) {
      option->expected(1)->allow_extra_args(false)->multi_option_policy(
          CLI::MultiOptionPolicy::TakeLast);
    } else if (field.about.repeat) {
      option->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    } else {
      const double most = field.most_values;
      option->expected(1, most < 1e6 ? static_cast<int>(most) : 1'000'000);
    }
    if (direct) option->default_str(shown_default(field));
  }
  option->group(std::string(group));
  if (direct) entry->fields.push_back(std::move(field));
}

void Command::add_positional(OptionField&& field) {
  auto made = std::make_unique<Entry>();
  Entry* entry = made.get();
  entry->flag = field.flag;
  entry->kind = field.kind;
  entry->required = field.about.required;
  entry->positional = entry->direct = true;
  entry->shown = field.flag;
  CLI::Option* option = app_.add_option_function<std::vector<std::string>>(
      entry->flag,
      [entry](const std::vector<std::string>& values) {
        entry->values = values;
        entry->given = true;
      },
      field.about.help);
  option->type_name("");
  if (field.kind != OptionField::Kind::list) option->expected(1)->allow_extra_args(false);
  entry->fields.push_back(std::move(field));
  entries_.push_back(std::move(made));
}

void Command::read_file() {
  if (config_.empty()) return;
  for (ConfigEntry& e : read_config_file(config_)) {
    std::string flag = e.key;
    std::replace(flag.begin(), flag.end(), '_', '-');
    Entry* entry = find(flag);
    const auto wrong = [&](const std::string& reason) { throw DataError(config_, e.line, reason); };
    if (entry == nullptr || entry->positional) {
      wrong(fmt::format("'{}' is no option of qkv {}; see qkv {} --help", e.key, path_, path_));
    }
    const bool list = entry->kind == OptionField::Kind::list;
    const bool flagged = entry->kind == OptionField::Kind::flag;
    if (e.is_list && !list) wrong(fmt::format("'{}' takes one value, not a list", e.key));
    if (e.is_boolean && !flagged)
      wrong(fmt::format("'{}' takes a value, not true or false", e.key));
    if (flagged && !e.is_boolean) wrong(fmt::format("'{}' must be true or false", e.key));
    if (entry->in_file) wrong(fmt::format("'{}' stands there twice", e.key));
    if (entry->given) continue;  // the command line wins
    entry->values = std::move(e.values);
    entry->given = entry->in_file = true;
    entry->shown = fmt::format("{}:{}: {}", config_, e.line, e.key);
  }
}

void Command::set_options() {
  read_file();
  for (const auto& entry : entries_) {
    if (entry->required && !entry->given) {
      throw UsageError(fmt::format("{} is required", entry->shown));
    }
    if (!entry->direct || !entry->given) continue;
    for (const OptionField& f : entry->fields) entry->set(f);
  }
}

bool Command::chosen() const { return app_.parsed() && app_.get_subcommands().empty(); }

bool Command::given(std::string_view flag) const {
  const Entry* entry = find(flag);
  return entry != nullptr && entry->given;
}

void Command::lay(OptionField& field) {
  Entry* entry = *field.about.help == '\0' ? nullptr : find(field.flag);
  if (entry == nullptr || !entry->given || entry->direct) return;
  entry->set(field);
  entry->taken = true;
}

void Command::go_on(OptionField& field, const std::map<std::string, std::string>& begun,
                    std::string_view where) {
  const auto found = begun.find(field.flag);
  if (*field.about.help == '\0' || found == begun.end()) return;
  if (!found->second.empty()) {
    field.set(std::vector<std::string>{found->second}, std::string(where) + ": " + field.flag);
  }
  const Entry* entry = find(field.flag);
  if (entry == nullptr || !entry->given) return;
  const std::string before = field.get();
  field.set(entry->values, entry->shown);
  if (const std::string now = field.get(); now != before && !field.about.free) {
    throw UsageError(
        fmt::format("{} {}: the run in {} was begun with {}; leave it out to go on with "
                    "that, or train into another directory",
                    entry->shown, now, where, before.empty() ? "none" : before));
  }
}

void Command::refuse_rest(std::string_view why) const {
  for (const auto& entry : entries_) {
    if (entry->given && !entry->direct && !entry->taken) {
      throw UsageError(fmt::format("{}: {}", entry->shown, why));
    }
  }
}

}  // namespace qkv::app
