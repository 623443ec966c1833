// A parallel corpus that needs no download: short English sentences and their Chinese, drawn from a
// grammar and a lexicon of our own. Made to show in minutes that a model translates what it has
// never read: some pairs of words (a subject with a verb, a quality with a noun …) never meet in
// training and meet in every sentence of the test part.
//
// English is lower case with a space between all tokens ("are you free tomorrow ?"), Chinese is
// written without spaces (你明天有空吗？). One English sentence has one translation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace qkv {

struct DemoCorpus {
  std::vector<std::string> train_source, train_target;
  std::vector<std::string> valid_source, valid_target;  // new sentences, known pairs of words
  std::vector<std::string> test_source, test_target;    // at least one pair of words is new
};

/// `pairs` distinct training pairs (30,000 sentences hold some 200,000 English tokens), a sixtieth
/// as many (at most 500) to validate and a thirtieth (at most 1,000) to test. No source or target
/// of the latter two is a source or target of the training part, but each of their words and
/// characters occurs there. The same arguments give the same corpus on every machine. Throws Error
/// when the grammar does not have that many sentences (some millions).
DemoCorpus demo_corpus(std::uint64_t seed = 1, std::size_t pairs = 30000);

struct DemoPair {
  std::string source, target;
};

/// Sentences to show. The first two are in every training part, the others in none.
std::vector<DemoPair> demo_sentences();

}  // namespace qkv
