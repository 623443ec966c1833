// The fuzz targets on their seeds and on a few thousand mutations of them, the same in every run.
#include <exception>
#include <string>

#include "fuzz/archive.h"
#include "fuzz/cifar.h"
#include "fuzz/columns.h"
#include "fuzz/ct2.h"
#include "fuzz/directory.h"
#include "fuzz/idx.h"
#include "fuzz/jpeg.h"
#include "fuzz/json.h"
#include "fuzz/lines.h"
#include "fuzz/list.h"
#include "fuzz/marian.h"
#include "fuzz/mask.h"
#include "fuzz/mutate.h"
#include "fuzz/nodes.h"
#include "fuzz/pieces.h"
#include "fuzz/png.h"
#include "fuzz/ppm.h"
#include "fuzz/safetensors.h"
#include "fuzz/sentences.h"
#include "fuzz/settings.h"
#include "fuzz/sound.h"
#include "fuzz/state.h"
#include "fuzz/tables.h"
#include "fuzz/text.h"
#include "fuzz/token_pipeline.h"
#include "fuzz/weights_index.h"
#include <gtest/gtest.h>

namespace qkv {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

void run(void (*target)(std::string_view), const std::vector<std::string>& seeds, int mutations) {
  const auto survives = [&](const std::string& bytes) {
    try {
      target(bytes);
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what() << "\ninput in hex: " << hex(bytes);
      return false;
    }
    return true;
  };
  ASSERT_TRUE(survives(""));
  for (const std::string& seed : seeds) ASSERT_TRUE(survives(seed));
  Philox random(key_of(2024));
  for (int i = 0; i < mutations; ++i) {
    ASSERT_TRUE(survives(mutated(seeds[random.below(seeds.size())], seeds, random)));
  }
}

TEST(Fuzz, Safetensors) { run(fuzz_safetensors, safetensors_seeds(), 5000); }
TEST(Fuzz, Json) { run(fuzz_json, json_seeds(), 5000); }
TEST(Fuzz, Directory) { run(fuzz_directory, directory_seeds(), 300); }
TEST(Fuzz, Text) { run(fuzz_text, text_seeds(), 3000); }
TEST(Fuzz, Lines) { run(fuzz_lines, lines_seeds(), 3000); }
TEST(Fuzz, Columns) { run(fuzz_columns, columns_seeds(), 1500); }
TEST(Fuzz, Tables) { run(fuzz_tables, tables_seeds(), 3000); }
TEST(Fuzz, Nodes) { run(fuzz_nodes, nodes_seeds(), 3000); }
TEST(Fuzz, Pieces) { run(fuzz_pieces, pieces_seeds(), 3000); }
TEST(Fuzz, Sentences) { run(fuzz_sentences, sentences_seeds(), 3000); }
TEST(Fuzz, State) { run(fuzz_state, state_seeds(), 1000); }
TEST(Fuzz, Settings) { run(fuzz_settings, settings_seeds(), 3000); }
TEST(Fuzz, Mask) { run(fuzz_mask, mask_seeds(), 5000); }
TEST(Fuzz, TokenPipeline) { run(fuzz_token_pipeline, token_pipeline_seeds(), 3000); }
TEST(Fuzz, Ct2) { run(fuzz_ct2, ct2_seeds(), 3000); }
TEST(Fuzz, Archive) { run(fuzz_archive, archive_seeds(), 3000); }
TEST(Fuzz, Marian) { run(fuzz_marian, marian_seeds(), 5000); }
TEST(Fuzz, Png) { run(fuzz_png, png_seeds(), 3000); }
TEST(Fuzz, Jpeg) { run(fuzz_jpeg, jpeg_seeds(), 3000); }
TEST(Fuzz, Ppm) { run(fuzz_ppm, ppm_seeds(), 3000); }
TEST(Fuzz, Sound) { run(fuzz_sound, sound_seeds(), 2000); }
TEST(Fuzz, Idx) { run(fuzz_idx, idx_seeds(), 3000); }
TEST(Fuzz, Cifar) { run(fuzz_cifar, cifar_seeds(), 300); }
TEST(Fuzz, List) { run(fuzz_list, list_seeds(), 3000); }
TEST(Fuzz, WeightsIndex) { run(fuzz_weights_index, weights_index_seeds(), 5000); }

TEST(Fuzz, SeedsOfTranslatorsAreTranslators) {
  for (const std::string& seed : {archive_seeds()[0], archive_seeds()[1]}) {
    const auto copy = std::make_shared<const std::string>(seed);
    const ModelFiles files(
        std::make_shared<const Archive>(std::as_bytes(std::span(*copy)), copy, "seed"));
    EXPECT_TRUE(read_packaged_translator(files));
  }
  MarianWeights weights = marian_weights();
  weights.config = parse_flat_yaml(marian_seeds()[0], "seed");
  TranslateOptions options;
  std::vector<std::string> notes;
  EXPECT_NO_THROW((void)marian_network(weights, options, notes));
}

// A target that cannot fail, or mutations that nothing accepts, would find nothing.
TEST(Fuzz, SeedsAreAcceptedAndMutationsAreBoth) {
  for (const std::string& seed : safetensors_seeds()) {
    EXPECT_NO_THROW(SafetensorsFile(std::as_bytes(std::span(seed)), nullptr, "seed"));
  }
  Philox random(key_of(2024));
  const std::vector<std::string> seeds = safetensors_seeds();
  int accepted = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string bytes =
        with_right_length(mutated(seeds[random.below(seeds.size())], seeds, random));
    try {
      const SafetensorsFile file(std::as_bytes(std::span(bytes)), nullptr, "mutated");
      ++accepted;
    } catch (const DataError&) {
    }
  }
  EXPECT_GT(accepted, 20);
  EXPECT_LT(accepted, 900);
}

TEST(Fuzz, ABrokenPromiseIsSeen) { EXPECT_THROW(fuzz_require(false, "broken"), std::logic_error); }

}  // namespace
}  // namespace qkv
