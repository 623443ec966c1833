// Any bytes as a configuration file and as JSON lines.
#pragma once

#include <string>
#include <vector>

#include "fuzz/target.h"

#include "qkv/base/error.h"
#include "qkv/io/json.h"

namespace qkv {

inline void fuzz_json(std::string_view bytes) {
  const auto tolerant = [](auto&& f) {
    try {
      f();
    } catch (const Error&) {
    }
  };
  tolerant([&] {
    const Json json = parse_json(bytes, "fuzz");
    fuzz_require(parse_json(json.dump(2), "again").dump() == json.dump(), "changed by writing");
    FieldReader fields(json, "fuzz");
    constexpr std::string_view kWords[] = {"pre", "post"};
    tolerant([&] { fuzz_require(fields.integer("layers", {.least = 1}) >= 1, "out of range"); });
    tolerant([&] { fuzz_require(fields.number("dropout", {0, 1}, 0) <= 1, "out of range"); });
    tolerant([&] { fields.boolean("tied", true); });
    tolerant([&] { fields.text("task"); });
    tolerant([&] { fuzz_require(fields.choice("norm", kWords) < 2, "no such choice"); });
    tolerant([&] { fields.object("model").finish(); });
    fields.finish();
  });
  tolerant([&] {
    for (const Json& line : parse_jsonl(bytes, "fuzz")) (void)line.is_object();
  });
}

inline std::vector<std::string> json_seeds() {
  return {
      "{}", R"({"layers": 6, "dropout": 0.1, "tied": true, "task": "translate", "norm": "post"})",
      R"({"format": 1, "model": {"width": 512, "heads": 8, "名": [1, -2, 3.5e2, null, false]}})",
      "{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"text\":\"a\\n\\u00e9\\ud83d\\ude00\"}\n{\"st",
      "[[[[[[[[1]]]]]]]]"};
}

}  // namespace qkv
