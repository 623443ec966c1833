// Language models as decoders of transformers, or of llm-foundry where its class alone fits.
#include <algorithm>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/systems/export/decoder_config.h"
#include "qkv/systems/export/parts.h"
#include "qkv/systems/export/tokenizer_json.h"
#include "qkv/systems/import/decoder_weights.h"

namespace qkv {
namespace {

Json id_or_null(std::int32_t id) { return id < 0 ? Json() : Json(id); }

/// What stands before a text, ends it, and fills.
struct Roles {
  std::int32_t start = -1, pad = -1, unk = -1;
  std::vector<std::int32_t> ends, never;
  LineTokens lines;
};

Roles roles_of(const LanguageModel& m) {
  const Tokeniser& t = m.tokeniser;
  Roles r{.start = t.bos(), .pad = t.pad(), .unk = t.unk(), .ends = m.ends};
  if (t.pipeline() != nullptr) return r;
  const StreamFormat format = m.format();
  r.start = r.lines.start = format.start;
  if (m.by_line) {
    r.ends = {format.line_end};
  } else if (format.line_end == t.eos()) {
    r.lines.newline = t.eos();
  }
  r.never = {t.pad(), t.unk(), t.bos()};
  if (format.line_end != t.eos()) r.never.push_back(t.eos());
  return r;
}

void save_tokens(const LanguageModel& m, const Roles& r, const std::filesystem::path& folder) {
  const auto name = [&](std::int32_t id) -> std::string {
    if (id < 0) return {};
    return id == r.lines.newline ? "\n" : m.tokeniser.piece(id);
  };
  write_json(folder / kTokenizerFile, tokenizer_json(m.tokeniser, r.lines));
  save_token_names({{"bos_token", name(r.start)},
                    {"eos_token", name(r.ends.empty() ? -1 : r.ends.front())},
                    {"unk_token", name(r.unk)},
                    {"pad_token", name(r.pad)}},
                   m.longest(), false, folder);
}

void save_configs(const Roles& r, Json config, const std::filesystem::path& folder) {
  const Json end = r.ends.empty()       ? Json()
                   : r.ends.size() == 1 ? Json(r.ends.front())
                                        : Json(r.ends);
  Json generation = {{"bos_token_id", id_or_null(r.start)},
                     {"eos_token_id", end},
                     {"pad_token_id", id_or_null(r.pad)}};
  config.update(generation);
  if (!r.never.empty()) generation["suppress_tokens"] = r.never;
  write_json(folder / kConfigFile, config);
  write_json(folder / "generation_config.json", generation);
}

}  // namespace

Exported export_decoder(const LanguageModel& model, const std::filesystem::path& folder) {
  const Mpt* network = model.mpt();
  if (network == nullptr) {
    fail("export: no class of transformers is a recurrent language model");
  }
  DecoderForm form = decoder_form(network->config, model.preset);
  set_class(form.config, form.name);
  save_foreign_weights(read_state(decoder_entries(*network, form.family)), folder);
  const Roles roles = roles_of(model);
  save_tokens(model, roles, folder);
  save_configs(roles, std::move(form.config), folder);
  Exported done{.form = form.name, .notes = {}};
  if (form.foundry) {
    done.notes.emplace_back(
        "in llm-foundry's layout, since the MPT of transformers computes less than this network: "
        "llm-foundry loads it");
  }
  if (form.name == "MptForCausalLM" && network->config.attn_config.attn_pdrop > 0) {
    done.notes.emplace_back("MptConfig has no dropout of attention: training it there has none");
  }
  if (model.by_line && model.tokeniser.pipeline() == nullptr) {
    done.notes.emplace_back("the model reads lines: give each as a text of its own");
  }
  return done;
}

}  // namespace qkv
