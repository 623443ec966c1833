// A model that nobody changes may be asked by many threads at once, from its first answer on. Run
// it under the thread sanitizer, too.
#include <latch>
#include <thread>
#include <vector>

#include "decode/tiny_transformer.h"
#include "models/small_labeller.h"
#include <gtest/gtest.h>

#include "qkv/decode/batch_translator.h"
#include "qkv/decode/rnn_decoder.h"
#include "qkv/decode/transformer_decoder.h"
#include "qkv/decode/vocabulary_head.h"
#include "qkv/models/bert.h"
#include "qkv/models/labeller.h"
#include "qkv/models/mpt.h"
#include "qkv/models/rnn_language.h"
#include "qkv/text/tokeniser.h"

namespace qkv {
namespace {

using test::random_sentences;
using test::tiny_config;
using test::tiny_transformer;

/// Answers as numbers that compare equal only if their bits do.
using Answer = std::vector<double>;

void append(Answer& to, std::span<const float> values) {
  to.insert(to.end(), values.begin(), values.end());
}
template <class Ids>
void append_ids(Answer& to, const Ids& ids) {
  for (const auto id : ids) to.push_back(static_cast<double>(id));
}

/// Eight threads ask a fresh model at the same moment; each of them, and one that asks a model of
/// its own, must get the same. Each has its own number of threads to compute with.
template <class Make, class Ask>
void expect_shareable(Make make, Ask ask) {
  constexpr int kAskers = 8;
  const auto shared = make();
  std::vector<Answer> answers(kAskers);
  std::latch start(kAskers);
  std::vector<std::thread> askers;
  for (int i = 0; i < kAskers; ++i) {
    askers.emplace_back([&, i] {
      const ThreadScope scope(1 + i % 2);
      start.arrive_and_wait();
      answers[static_cast<std::size_t>(i)] = ask(shared);
    });
  }
  for (std::thread& t : askers) t.join();
  const auto own = make();
  const Answer alone = ask(own);
  ASSERT_FALSE(alone.empty());
  for (int i = 0; i < kAskers; ++i) {
    EXPECT_TRUE(answers[static_cast<std::size_t>(i)] == alone) << "asker " << i;
  }
}

Answer translations(const StepModel& model) {
  const BatchTranslator translator(model, {.search = {.max_length = 8, .attention = true}});
  Answer answer;
  for (const Decoded& t : translator.translate(random_sentences(12, 9, 40))) {
    for (const Hypothesis& h : t.best) {
      append_ids(answer, h.tokens);
      answer.push_back(h.log_probability);
      append(answer, h.attention);
    }
  }
  return answer;
}

TEST(Shared, TransformerWithItsTableAsOutput) {
  expect_shareable([] { return tiny_transformer(tiny_config()); },
                   [](const Transformer& m) { return translations(TransformerDecoder(m)); });
}

TEST(Shared, OneDecoder) {
  const Transformer model = tiny_transformer(tiny_config());
  expect_shareable([&] { return TransformerDecoder(model); }, translations);
}

TEST(Shared, RecurrentTranslator) {
  RnnTranslator::Config config{
      .source_vocabulary = 50, .target_vocabulary = 40, .embedding = 9, .width = 20};
  config.context = RnnContext::before;
  config.bidirectional = true;
  config.max_length = 64;
  expect_shareable([&] { return RnnTranslator::make(2, config); },
                   [](const RnnTranslator& m) { return translations(RnnDecoder(m)); });
}

TEST(Shared, LanguageModels) {
  const Mpt::Config config{.d_model = 16,
                           .n_heads = 2,
                           .n_layers = 2,
                           .max_seq_len = 32,
                           .vocab_size = 64,
                           .learned_pos_emb = false,
                           .attn_config = {.alibi = true}};
  expect_shareable([&] { return Mpt::make(1, config); },
                   [](const Mpt& m) {
                     const MptBatch batch{.ids = {1, 2, 3}, .segments = Segments({3})};
                     Answer answer;
                     append(answer, m.logits(m(batch)).values());
                     MptCache cache(1);
                     append(answer, m.logits(m.extend(cache, batch)).values());
                     append(answer, VocabularyHead(m.wte, VocabularyMatrix::table, {})
                                        .logits(m.scaled(m.extend(cache, batch)))
                                        .values());
                     return answer;
                   });
  const RnnLanguage::Config recurrent{.vocab_size = 64, .embedding = 0, .width = 6, .layers = 2};
  expect_shareable([&] { return RnnLanguage::make(1, recurrent); },
                   [](const RnnLanguage& m) {
                     const std::vector<std::int32_t> ids{1, 2, 3};
                     RecurrentStates states;
                     Answer answer;
                     for (int round = 0; round < 2; ++round) {
                       const RnnLanguage::Result r = m(ids, Segments({3}), states);
                       states = r.last;
                       append(answer,
                              VocabularyHead(m.output_matrix(), m.output_form(), m.output_bias())
                                  .logits(r.hidden)
                                  .values());
                     }
                     return answer;
                   });
}

TEST(Shared, Bert) {
  BertConfig config;
  config.vocab_size = 31;
  config.hidden_size = 16;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 2;
  config.intermediate_size = 32;
  config.max_position_embeddings = 8;
  expect_shareable([&] { return Bert::make(1, config, {}); },
                   [](const Bert& m) {
                     const BertRows rows{.ids = {1, 5, 9, 3, 7},
                                         .types = {0, 0, 1, 1, 1},
                                         .segments = Segments({5})};
                     const std::vector<std::int64_t> hidden{1, 3};
                     Answer answer;
                     append(answer, m.word_logits(rows, hidden).values());
                     append(answer, m.bert.pooled(m.bert(rows), rows.segments).values());
                     return answer;
                   });
}

TEST(Shared, Labellers) {
  for (const LabelEncoder encoder :
       {LabelEncoder::cnn, LabelEncoder::rnn, LabelEncoder::attention, LabelEncoder::linear}) {
    Labeller::Config config = small_labeller::small(encoder);
    config.class_to_tags = config.tags_to_class = true;
    expect_shareable([&] { return Labeller::make(1, config); },
                     [](const Labeller& m) {
                       const LabelBatch batch{.segments = Segments({3, 2}),
                                              .words = {1, 2, 3, 4, 5},
                                              .characters = {1, 2, 3, 4, 5, 6, 1},
                                              .word_characters = Segments({2, 1, 1, 2, 1}),
                                              .shapes = {0, 1, 2, 3, 0}};
                       const LabelPrediction p = m.predict(batch);
                       Answer answer(p.tag_scores);
                       append_ids(answer, p.tags);
                       append(answer, m.encode(batch).words.values());
                       return answer;
                     });
  }
}

TEST(Shared, Tokenisers) {
  std::vector<std::string> lines;
  for (int i = 0; i < 40; ++i)
    lines.push_back("the boat waits near the mill number " + std::to_string(i));
  for (const auto kind : {TokeniserOptions::Kind::bpe, TokeniserOptions::Kind::unigram}) {
    expect_shareable([&] { return Tokeniser::train({.kind = kind, .vocabulary_size = 60}, lines); },
                     [&](const Tokeniser& t) {
                       Answer answer;
                       for (const std::string& line : lines) {
                         const std::vector<std::int32_t> ids = t.encode(line);
                         append_ids(answer, ids);
                         for (const char c : t.decode(ids))
                           answer.push_back(static_cast<double>(c));
                       }
                       return answer;
                     });
  }
}

}  // namespace
}  // namespace qkv
