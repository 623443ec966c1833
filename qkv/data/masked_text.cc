#include "qkv/data/masked_text.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/random.h"

namespace qkv {
namespace {

using Ids = std::vector<std::int32_t>;

std::int64_t size_of(const Ids& ids) { return static_cast<std::int64_t>(ids.size()); }

/// A whole number in [low, high].
std::int64_t between(Philox& random, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(high - low + 1)));
}

MaskedExample sequence_of(std::span<const std::int32_t> a, std::span<const std::int32_t> b,
                          const MaskVocabulary& v) {
  MaskedExample e;
  e.ids.push_back(v.cls);
  e.ids.insert(e.ids.end(), a.begin(), a.end());
  e.ids.push_back(v.sep);
  e.types.assign(e.ids.size(), 0);
  if (b.empty()) return e;
  e.ids.insert(e.ids.end(), b.begin(), b.end());
  e.ids.push_back(v.sep);
  e.types.resize(e.ids.size(), 1);
  return e;
}

/// Walks through the documents and cuts them into sequences.
class Cutter {
 public:
  Cutter(const Documents& text, const MaskVocabulary& vocabulary, const MaskedTextOptions& options,
         std::uint64_t key)
      : text_(text), vocabulary_(vocabulary), options_(options), random_(key) {}

  std::vector<MaskedExample> examples;

  void single(std::int64_t document) {
    const std::int64_t room = options_.max_length - 2;
    Ids chunk;
    std::int64_t target = drawn_length(room);
    const auto emit = [&] {
      if (!chunk.empty()) examples.push_back(sequence_of(chunk, {}, vocabulary_));
      chunk.clear();
      target = drawn_length(room);
    };
    for (std::int64_t s = first(document); s < first(document + 1); ++s) {
      std::span<const std::int32_t> rest = text_.sentence(s);
      if (!chunk.empty() && size_of(chunk) + static_cast<std::int64_t>(rest.size()) > target) {
        emit();
      }
      while (!rest.empty()) {
        const auto n = std::min<std::size_t>(rest.size(), static_cast<std::size_t>(room));
        chunk.insert(chunk.end(), rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(n));
        rest = rest.subspan(n);
        if (!rest.empty()) emit();
      }
      if (size_of(chunk) >= target) emit();
    }
    emit();
  }

  void pairs(std::int64_t document) {
    const std::int64_t room = options_.max_length - 3, end = first(document + 1);
    std::int64_t begin = first(document);
    while (begin < end) {
      const std::int64_t target = drawn_length(room);
      std::int64_t last = begin, length = 0;
      while (last < end && (last == begin || length < target)) {
        length += static_cast<std::int64_t>(text_.sentence(last++).size());
      }
      const std::int64_t middle = last - begin < 2 ? last : between(random_, begin + 1, last - 1);
      Ids a = tokens(begin, middle), b;
      const bool unrelated = middle == last || random_.uniform() < options_.random_next;
      if (unrelated) {
        b = elsewhere(document, target - size_of(a));
        last = middle;  // what was not used comes again
      } else {
        b = tokens(middle, last);
      }
      shorten(a, b, room);
      examples.push_back(sequence_of(a, b, vocabulary_));
      examples.back().follows = unrelated ? 1 : 0;
      begin = last;
    }
  }

 private:
  std::int64_t first(std::int64_t document) const {
    return text_.documents[static_cast<std::size_t>(document)];
  }

  std::int64_t drawn_length(std::int64_t room) {
    return random_.uniform() < options_.short_sequences ? between(random_, 2, room) : room;
  }

  Ids tokens(std::int64_t begin, std::int64_t end) const {
    const auto from = text_.ids.begin();
    return {from + text_.sentences[static_cast<std::size_t>(begin)],
            from + text_.sentences[static_cast<std::size_t>(end)]};
  }

  /// Sentences of another document, from a random one on.
  Ids elsewhere(std::int64_t document, std::int64_t length) {
    std::int64_t other = document;
    for (int tries = 0; tries < 10 && other == document; ++tries) {
      other = between(random_, 0, text_.document_count() - 1);
    }
    const std::int64_t begin = between(random_, first(other), first(other + 1) - 1);
    std::int64_t end = begin + 1;
    const auto offset = [&](std::int64_t s) {
      return text_.sentences[static_cast<std::size_t>(s)];
    };
    while (end < first(other + 1) && offset(end) - offset(begin) < length) ++end;
    return tokens(begin, end);
  }

  /// Takes tokens off either end of the longer one until both fit.
  void shorten(Ids& a, Ids& b, std::int64_t room) {
    std::int64_t over = size_of(a) + size_of(b) - room;
    for (; over > 0; --over) {
      Ids& longer = a.size() > b.size() ? a : b;
      if (random_.uniform() < 0.5) {
        longer.erase(longer.begin());
      } else {
        longer.pop_back();
      }
    }
  }

  const Documents& text_;
  const MaskVocabulary& vocabulary_;
  const MaskedTextOptions& options_;
  Philox random_;
};

}  // namespace

std::span<const std::int32_t> Documents::sentence(std::int64_t i) const {
  const auto n = static_cast<std::size_t>(i);
  return std::span(ids).subspan(static_cast<std::size_t>(sentences[n]),
                                static_cast<std::size_t>(sentences[n + 1] - sentences[n]));
}

std::string Documents::summary() const {
  return fmt::format("{} sentences in {} documents, {} tokens, {} unknown", sentence_count(),
                     document_count(), ids.size(), unknown);
}

Documents make_documents(std::span<const std::string> lines,
                         const std::function<std::vector<std::int32_t>(std::string_view)>& encode,
                         bool by_line, std::int32_t unknown) {
  Documents text;
  const auto end_document = [&] {
    if (text.sentence_count() > text.documents.back()) {
      text.documents.push_back(text.sentence_count());
    }
  };
  for (const std::string& line : lines) {
    const Ids ids = encode(line);
    if (!ids.empty()) {
      text.ids.insert(text.ids.end(), ids.begin(), ids.end());
      text.sentences.push_back(size_of(text.ids));
      text.unknown += std::count(ids.begin(), ids.end(), unknown);
    }
    if (ids.empty() || by_line) end_document();
  }
  end_document();
  if (text.ids.empty()) fail("the text holds no token");
  return text;
}

void MaskedTextOptions::check() const {
  if (max_length < (pairs ? 5 : 4)) {
    fail("masked text: a length of {} holds no text beside [CLS] and [SEP]", max_length);
  }
  for (const double p : {share, masked, kept, random_next, short_sequences}) {
    if (!(p >= 0.0 && p <= 1.0)) fail("masked text: a share of {} is not in [0, 1]", p);
  }
  if (masked + kept > 1.0 + 1e-9) {
    fail("masked text: {} masked and {} kept are more than all", masked, kept);
  }
  if (most < 0 || duplicates < 0) fail("masked text: limits must not be negative");
}

void hide_tokens(MaskedExample& e, const MaskVocabulary& v, const MaskedTextOptions& options,
                 std::uint64_t key) {
  Philox random(key);
  std::vector<Ids> groups;  // of places that are hidden together
  bool inside = false;
  for (std::size_t i = 0; i < e.ids.size(); ++i) {
    const std::int32_t id = e.ids[i];
    const bool text = id != v.cls && id != v.sep;
    if (text) {
      const bool joins =
          inside && options.whole_words && v.continues[static_cast<std::size_t>(id)] != 0;
      if (!joins) groups.emplace_back();
      groups.back().push_back(static_cast<std::int32_t>(i));
    }
    inside = text;
  }
  shuffle(std::span<Ids>(groups), random);
  // Halves go to the even number, as in the published program.
  const auto share = std::max<std::int64_t>(
      1,
      static_cast<std::int64_t>(std::nearbyint(options.share * static_cast<double>(e.ids.size()))));
  const std::int64_t wanted = options.most > 0 ? std::min(options.most, share) : share;
  Ids places;
  for (const Ids& group : groups) {
    if (size_of(places) + size_of(group) <= wanted) {
      places.insert(places.end(), group.begin(), group.end());
    }
  }
  // A single word of more pieces than that is hidden in part rather than nothing.
  if (places.empty() && !groups.empty()) {
    places.assign(groups[0].begin(), groups[0].begin() + static_cast<std::ptrdiff_t>(wanted));
  }
  std::sort(places.begin(), places.end());
  for (const std::int32_t place : places) {
    std::int32_t& id = e.ids[static_cast<std::size_t>(place)];
    e.where.push_back(place);
    e.targets.push_back(id);
    const double draw = random.uniform();
    if (draw < options.masked) {
      id = v.mask;
    } else if (draw >= options.masked + options.kept) {
      id = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(v.size)));
    }
  }
}

std::vector<MaskedExample> masked_examples(const Documents& text, const MaskVocabulary& vocabulary,
                                           const MaskedTextOptions& options, std::int64_t round) {
  options.check();
  if (options.duplicates > 0) round %= options.duplicates;
  Cutter cutter(text, vocabulary, options, key_of(options.seed, hash_name("sequences"), round));
  for (std::int64_t d = 0; d < text.document_count(); ++d) {
    if (options.pairs) {
      cutter.pairs(d);
    } else {
      cutter.single(d);
    }
  }
  const std::uint64_t key = key_of(options.seed, hash_name("masks"), round);
  for (std::size_t i = 0; i < cutter.examples.size(); ++i) {
    hide_tokens(cutter.examples[i], vocabulary, options, key_of(key, i));
  }
  return std::move(cutter.examples);
}

MaskedBatch pack(std::span<const MaskedExample> examples, std::span<const std::int64_t> index) {
  MaskedBatch batch;
  std::vector<std::int64_t> lengths;
  for (const std::int64_t i : index) {
    const MaskedExample& e = examples[static_cast<std::size_t>(i)];
    const std::int64_t begin = size_of(batch.ids);
    for (const std::int32_t place : e.where) batch.where.push_back(begin + place);
    batch.ids.insert(batch.ids.end(), e.ids.begin(), e.ids.end());
    batch.types.insert(batch.types.end(), e.types.begin(), e.types.end());
    batch.targets.insert(batch.targets.end(), e.targets.begin(), e.targets.end());
    if (e.follows >= 0) batch.follows.push_back(e.follows);
    lengths.push_back(size_of(e.ids));
  }
  batch.segments = Segments(lengths);
  return batch;
}

}  // namespace qkv
