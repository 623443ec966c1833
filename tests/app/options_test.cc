// An option that a struct lists is seen everywhere: on the command line, in a settings file, in
// config.json and in what is told of a model.
#include "app/options.h"

#include "app/run_qkv.h"
#include <CLI/CLI.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/systems/config_fields.h"
#include "qkv/systems/system.h"

namespace qkv::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

enum class Crust : std::uint8_t { thin, very_thick };
constexpr std::array<std::string_view, 2> spelling(Crust) { return {"thin", "very_thick"}; }

struct Oven {
  double heat = 220;
  std::int64_t loaves = 2;
  bool steam = false;
  Crust crust = Crust::thin;

  void check() const {}
  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"heat", "Degrees", between(0, 300)}, o.heat);
    visit({"loaves", "Baked at once", at_least(1)}, o.loaves);
    visit({"steam", "At the beginning"}, o.steam);
    visit({"crust", "How it comes out"}, o.crust);
  }
};

/// The same, and what somebody added since.
struct NewOven : Oven {
  double fan_speed = 0.5;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    Oven::each(o, visit);
    visit({"fan_speed", "Share of full speed", between(0, 1)}, o.fan_speed);
  }
};

struct Lists {
  std::vector<Crust> crusts = {Crust::thin};
  std::vector<double> heats;
  std::vector<std::string> flours;

  template <class Self, class Visit>
  static void each(Self& l, Visit&& visit) {
    visit({"crusts", "Some"}, l.crusts);
    visit({"heats", "Others", positive()}, l.heats);
    visit({.name = "flour", .help = "One of them", .repeat = true}, l.flours);
  }
};

/// "bake ARGUMENTS" into the options; the error's words if there is one.
template <class Options>
std::string baked(Options& options, const std::string& arguments) {
  CLI::App cli;
  CLI::App* app = cli.add_subcommand("bake");
  Command command(*app, "bake");
  command.options(options);
  cli.parse("bake " + arguments);
  try {
    command.set_options();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(CommandOptions, AnOptionThatIsAddedIsSeenOnTheCommandLine) {
  CLI::App cli;
  CLI::App* app = cli.add_subcommand("bake");
  Command command(*app, "bake");
  NewOven oven;
  command.options(oven);
  EXPECT_THAT(app->help(), HasSubstr("--fan-speed X in [0, 1]=0.5"));
  EXPECT_THAT(app->help(), HasSubstr("Share of full speed"));
  EXPECT_THAT(app->help(), HasSubstr("thin|very_thick"));
  EXPECT_EQ(baked(oven, "--fan-speed 0.75 --crust very-thick --steam"), "");
  EXPECT_EQ(oven.fan_speed, 0.75);
  EXPECT_EQ(oven.crust, Crust::very_thick);
  EXPECT_TRUE(oven.steam);
  EXPECT_EQ(oven.heat, 220);
  EXPECT_EQ(baked(oven, "--fan-speed 2"), "--fan-speed: '2' is not a number in [0, 1]");
}

TEST(CommandOptions, AnOptionThatIsAddedIsSeenInASettingsFile) {
  const Temporary folder;
  const std::string file = (folder / "oven.toml").string();
  spill(file, "fan_speed = 0.25\ncrust = \"very_thick\"\nsteam = true\n");
  NewOven oven;
  EXPECT_EQ(baked(oven, "--config '" + file + "' --crust thin"), "");
  EXPECT_EQ(oven.fan_speed, 0.25);
  EXPECT_TRUE(oven.steam);
  EXPECT_EQ(oven.crust, Crust::thin) << "the command line wins";
  spill(file, "\nfan-speed = 7\n");
  EXPECT_EQ(baked(oven, "--config '" + file + "'"),
            file + ":2: fan-speed: '7' is not a number in [0, 1]");
}

TEST(CommandOptions, AnOptionThatIsAddedIsKeptInConfigJson) {
  NewOven oven;
  oven.fan_speed = 0.125;
  const Json json = config_json(oven);
  EXPECT_EQ(json["fan_speed"], 0.125);
  EXPECT_EQ(json["crust"], "thin");
  EXPECT_EQ(config_from<NewOven>(FieldReader(json, "config.json"), "config.json").fan_speed, 0.125);
  EXPECT_THROW((void)config_from<NewOven>(FieldReader(config_json(Oven{}), "config.json"), ""),
               DataError);
}

TEST(CommandOptions, AnOptionThatIsAddedIsToldOfAModel) {
  Info info;
  tell_options(NewOven{}, info);
  EXPECT_THAT(info.options, testing::Contains(testing::Pair("fan_speed", "0.5")));
  EXPECT_THAT(info.options, testing::Contains(testing::Pair("crust", "thin")));
}

TEST(CommandOptions, ListsStandBetweenCommasOrOneAfterTheOther) {
  Lists lists;
  EXPECT_EQ(baked(lists, "--crusts very_thick,thin --heats 1 2.5,3 --flour rye --flour oat"), "");
  EXPECT_THAT(lists.crusts, ElementsAre(Crust::very_thick, Crust::thin));
  EXPECT_THAT(lists.heats, ElementsAre(1, 2.5, 3));
  EXPECT_THAT(lists.flours, ElementsAre("rye", "oat"));
  EXPECT_EQ(baked(lists, "--crusts thin,soft"), "--crusts: 'soft' is not one of thin, very_thick");
  EXPECT_EQ(baked(lists, "--heats 1,0"), "--heats: '0' is not a number above 0");
  EXPECT_EQ(baked(lists, "--heats 1,"), "--heats: '' is not a number above 0");
}

}  // namespace
}  // namespace qkv::app
