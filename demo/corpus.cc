#include "demo/corpus.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "demo/grammar.h"

#include "qkv/base/error.h"

namespace qkv {
namespace {

using Set = std::unordered_set<std::string>;

void add_words(std::string_view source, Set& set) {
  while (!source.empty()) {
    const std::string_view word = source.substr(0, source.find(' '));
    set.emplace(word);
    source.remove_prefix(std::min(source.size(), word.size() + 1));
  }
}

void add_characters(std::string_view target, Set& set) {
  for (std::size_t i = 0, next = 0; i < target.size(); i = next) {
    next = i + 1;
    while (next < target.size() && (target[next] & 0xC0) == 0x80) ++next;
    set.emplace(target.substr(i, next - i));
  }
}

bool contains_all(const Set& known, const Set& wanted) {
  return std::all_of(wanted.begin(), wanted.end(),
                     [&](const std::string& word) { return known.count(word) > 0; });
}

// Takes the first `count` sentences that training has not seen but knows the words of.
void choose(const std::vector<DemoSentence>& candidates, std::size_t count,
            const DemoCorpus& corpus, std::vector<std::string>& source,
            std::vector<std::string>& target) {
  Set words, characters;
  for (const std::string& line : corpus.train_source) add_words(line, words);
  for (const std::string& line : corpus.train_target) add_characters(line, characters);
  const Set targets(corpus.train_target.begin(), corpus.train_target.end());
  for (const DemoSentence& candidate : candidates) {
    if (source.size() == count) break;
    Set own_words, own_characters;
    add_words(candidate.source, own_words);
    add_characters(candidate.target, own_characters);
    if (targets.count(candidate.target) > 0 || !contains_all(words, own_words) ||
        !contains_all(characters, own_characters)) {
      continue;
    }
    source.push_back(candidate.source);
    target.push_back(candidate.target);
  }
}

}  // namespace

bool demo_held_out(std::uint64_t pair, std::uint64_t seed) {
  // The sentences that always belong to the training part keep their pairs.
  static const std::unordered_set<std::uint64_t> kept = {
      demo_pair("subject-verb", "dog", "run"), demo_pair("path-place", "run across", "grass")};
  constexpr std::uint64_t kOneIn = 25;  // leaves about one sentence in ten for the test part
  return key_of(seed, pair) % kOneIn == 0 && kept.count(pair) == 0;
}

DemoCorpus demo_corpus(std::uint64_t seed, std::size_t pairs) {
  const std::size_t valid = std::min<std::size_t>(500, pairs / 60);
  const std::size_t test = std::min<std::size_t>(1000, pairs / 30);
  const std::size_t spare = 2;  // candidates are drawn this many times over, some do not fit
  DemoCorpus corpus;
  Set seen;
  const std::vector<DemoPair> shown = demo_sentences();
  for (std::size_t i = 0; i < shown.size(); ++i) {
    seen.insert(shown[i].source);
    if (i >= 2 || i >= pairs) continue;
    corpus.train_source.push_back(shown[i].source);
    corpus.train_target.push_back(shown[i].target);
  }
  std::vector<DemoSentence> known, unknown;
  DemoGrammar grammar(seed);
  std::size_t in_vain = 0;
  while (corpus.train_source.size() < pairs || known.size() < valid * spare ||
         unknown.size() < test * spare) {
    DemoSentence sentence = grammar.next();
    if (!seen.insert(sentence.source).second) {
      if (++in_vain > 1000000) fail("demo corpus: the grammar has fewer than {} sentences", pairs);
      continue;
    }
    const bool held = std::any_of(sentence.pairs.begin(), sentence.pairs.end(),
                                  [&](std::uint64_t pair) { return demo_held_out(pair, seed); });
    // Whether a known sentence validates is decided by its text, so evenly over the draws.
    if (held) {
      if (unknown.size() < test * spare) unknown.push_back(std::move(sentence));
    } else if (known.size() < valid * spare && hash_name(sentence.source) % 16 == 0) {
      known.push_back(std::move(sentence));
    } else if (corpus.train_source.size() < pairs) {
      corpus.train_source.push_back(std::move(sentence.source));
      corpus.train_target.push_back(std::move(sentence.target));
    }
  }
  choose(known, valid, corpus, corpus.valid_source, corpus.valid_target);
  choose(unknown, test, corpus, corpus.test_source, corpus.test_target);
  return corpus;
}

std::vector<DemoPair> demo_sentences() {
  return {{"the dog is running across the grass", "那只狗正跑过草地"},
          {"are you free tomorrow ?", "你明天有空吗？"},
          {"mary bought three apples yesterday", "玛丽昨天买了三个苹果"},
          {"my older sister is dancing in the garden with tom", "我姐姐正在花园里和汤姆一起跳舞"},
          {"there are two white cats under the table", "桌子下面有两只白色的猫"},
          {"my father has not read this newspaper yet", "我爸爸还没看这份报纸"},
          {"have you ever fed elephants ?", "你喂过大象吗？"},
          {"where did she play the piano yesterday ?", "她昨天在哪儿弹钢琴？"},
          {"this computer is much more expensive than the phone", "这台电脑比那部手机贵得多"},
          {"if it rains tomorrow , we will watch television", "如果明天下雨，我们会看电视"}};
}

}  // namespace qkv
