// The options of a sub-command: made of the lists of the structs that it fills
// (qkv/base/options.h), set from the command line and, behind it, from a settings file.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's
class App;
class Option;
}  // namespace CLI

namespace qkv::app {

class Command {
 public:
  /// `app` is the sub-command that CLI11 knows; both outlive the parsing.
  Command(CLI::App& app, std::string path);
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  ~Command();

  /// "train lm", as the user types it.
  const std::string& path() const { return path_; }
  void footer(const std::string& text);

  /// Every option of the list; `options` is set when the command runs and must live until then.
  template <class Options>
  void options(Options& options, std::string_view group = "Options") {
    for (OptionField& f : fields_of(options)) add(std::move(f), group, true);
  }
  /// Every option of a list whose struct a preset fills later: lay_over() sets what was given.
  template <class Options>
  void preset_options(std::string_view group) {
    Options prototype;
    for (OptionField& f : fields_of(prototype)) add(std::move(f), group, false);
  }
  /// A word without a flag; a list takes all that are left.
  template <class T>
  void positional(const char* name, T& field, const char* help, bool required = false) {
    struct One {
      T& field;
      About about;
      static void each(One& o, const std::function<void(const About&, T&)>& visit) {
        visit(o.about, o.field);
      }
    } one{field, {.name = name, .help = help, .required = required}};
    for (OptionField& f : fields_of(one)) add_positional(std::move(f));
  }
  /// A flag of the command's own, e.g. --json.
  template <class T>
  void option(const About& about, T& field, std::string_view group = "Options") {
    struct One {
      T& field;
      About about;
      static void each(One& o, const std::function<void(const About&, T&)>& visit) {
        visit(o.about, o.field);
      }
    } one{field, about};
    for (OptionField& f : fields_of(one)) add(std::move(f), group, true);
  }

  /// What the command does once its options are set.
  void action(std::function<void()> run) { run_ = std::move(run); }

  /// Sets the fields of `target` that were given; throws UsageError.
  template <class Options>
  void lay_over(Options& target) {
    for (OptionField& f : fields_of(target)) lay(f);
  }
  /// Sets the fields of `target` that a resumed run was begun with (`begun`, by flag; `where` it
  /// lies); throws UsageError with both values for an option that was given and says otherwise.
  template <class Options>
  void go_on_with(Options& target, const std::map<std::string, std::string>& begun,
                  std::string_view where) {
    for (OptionField& f : fields_of(target)) go_on(f, begun, where);
  }
  /// Whether the option was given, on the command line or in the file.
  bool given(std::string_view flag) const;
  /// Throws UsageError when an option of preset_options() was given that nothing has taken.
  void refuse_rest(std::string_view why) const;

  bool chosen() const;
  /// From the command line and the settings file into the fields.
  void set_options();
  void act() const { run_(); }

 private:
  struct Entry;
  void add(OptionField&& field, std::string_view group, bool direct);
  void add_positional(OptionField&& field);
  void lay(OptionField& field);
  void go_on(OptionField& field, const std::map<std::string, std::string>& begun,
             std::string_view where);
  void read_file();
  Entry* find(std::string_view flag) const;

  CLI::App& app_;
  std::string path_, config_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::function<void()> run_;
};

}  // namespace qkv::app
