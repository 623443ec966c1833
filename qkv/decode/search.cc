#include "qkv/decode/search.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "qkv/base/error.h"

namespace qkv {

namespace {

// A token of some hypothesis. Hypotheses share their beginnings, so living ones are leaves of a
// tree and a whole one is read off backwards.
struct Node {
  std::int32_t parent;  // −1: the first token
  std::int32_t token;
  float score;
  std::int64_t attention;  // where the row it was chosen from begins in the pool
};

struct Living {
  std::int32_t node = -1;
  double sum = 0;
};

struct Finished {
  Living last;                     // before <eos>
  std::optional<float> eos_score;  // nothing without <eos>
  std::int64_t attention;
  double sum, score;
};

struct Offer {
  double sum;
  std::int32_t parent;  // rank among the sentence's living hypotheses
  std::int32_t token;
  float score;
};

bool better(const Offer& a, const Offer& b) {
  if (a.sum != b.sum) return a.sum > b.sum;
  if (a.parent != b.parent) return a.parent < b.parent;
  return a.token < b.token;
}

struct Sentence {
  std::size_t index;
  std::int64_t source, min, max;
  std::vector<Living> living;
  std::vector<Finished> finished;
};

class Search {
 public:
  /// `prompts`: one a source, or none: <bos>.
  Search(const StepModel& model, std::span<const Tokens* const> sources,
         std::span<const Prompt> prompts, const SearchOptions& options)
      : options_(options),
        vocabulary_(model.vocabulary()),
        ended_(model.ends_sources()),
        results_(sources.size()) {
    options.check(vocabulary_);
    for (std::size_t i = 0; i < sources.size(); ++i) {
      prompts_.push_back(prompts.empty() ? &just_bos_ : &prompts[i]);
      const auto length = static_cast<std::int64_t>(sources[i]->size());
      if (length > model.max_source()) {
        fail("search: a source of {} tokens, the model reads at most {}", length,
             model.max_source());
      }
      const auto [min, max] =
          options.lengths(model, length, static_cast<std::int64_t>(prompts_[i]->tokens.size()));
      sentences_.push_back({i, length, min, max, {Living{}}, {}});
      parents_.push_back(static_cast<std::int32_t>(i));
    }
    if (!sources.empty()) state_ = model.start(sources, options.looks());
  }

  std::vector<std::vector<Hypothesis>> run() {
    for (std::int64_t length = 0; !sentences_.empty(); ++length) step(length);
    return std::move(results_);
  }

 private:
  void step(std::int64_t length) {
    if (length == 0) {
      read_prompts(*state_, parents_, prompts_, options_.bos);
    } else {
      state_->advance(parents_, tokens_);
    }
    choose(length);
    if (options_.looks()) keep_attention();
    parents_.clear();
    tokens_.clear();
    std::int32_t row = 0;
    std::size_t kept = 0;
    for (std::size_t s = 0; s < sentences_.size(); ++s) {
      Sentence& sentence = sentences_[s];
      const auto rows = static_cast<std::int32_t>(sentence.living.size());
      collect(sentence, row, length);
      grow(sentence, row, length);
      if (over(sentence, length + 1)) {
        deliver(sentence);
      } else {
        if (kept != s) sentences_[kept] = std::move(sentence);
        ++kept;
      }
      row += rows;
    }
    sentences_.resize(kept);
  }

  // Asks the model for what collect() may need: of beam + 1 offers a row at most one is <eos> (or
  // one of more_eos), so enough of them can live on; one more where <eos> is not allowed yet.
  void choose(std::int64_t length) {
    const std::size_t rows = parents_.size();
    bool early = false, last = false;
    for (const Sentence& s : sentences_) {
      early = early || length < s.min;
      last = last || length >= s.max;
    }
    forced_.clear();
    if (last || begins(length)) {
      for (const Sentence& s : sentences_) {
        const std::int32_t id = length >= s.max  ? options_.eos
                                : begins(length) ? options_.begin[static_cast<std::size_t>(length)]
                                                 : -1;
        forced_.resize(forced_.size() + s.living.size(), id);
      }
    }
    const std::int64_t ends = 1 + std::ssize(options_.more_eos);
    count_ = static_cast<int>(
        std::min<std::int64_t>(options_.beam + (early ? ends + 1 : ends) + ban(), vocabulary_));
    ids_.resize(rows * static_cast<std::size_t>(count_));
    scores_.resize(ids_.size());
    state_->choose({.count = count_, .suppressed = options_.suppressed, .forced = forced_},
                   ids_.data(), scores_.data());
  }

  // Finds what must not follow each row, and says how many offers that may cost a row.
  std::int64_t ban() {
    banned_.clear();
    if (!options_.bans.any()) return 0;
    std::int64_t most = 0;
    for (const Sentence& s : sentences_) {
      for (const Living& living : s.living) {
        banned_.push_back(options_.bans.after(tokens_of(s, living)));
        most = std::max(most, std::ssize(banned_.back()));
      }
    }
    return most;
  }

  // With the prompt.
  Tokens tokens_of(const Sentence& sentence, const Living& living) const {
    Tokens grown;
    for (std::int32_t n = living.node; n >= 0; n = nodes_[static_cast<std::size_t>(n)].parent) {
      grown.push_back(nodes_[static_cast<std::size_t>(n)].token);
    }
    Tokens tokens = prompts_[sentence.index]->tokens;
    if (tokens.empty()) tokens = {options_.bos};
    tokens.insert(tokens.end(), grown.rbegin(), grown.rend());
    return tokens;
  }

  bool is_banned(std::size_t row, std::int32_t token) const {
    return !banned_.empty() && std::ranges::count(banned_[row], token) > 0;
  }

  bool begins(std::int64_t length) const {
    return length < static_cast<std::int64_t>(options_.begin.size());
  }

  /// Whether the token that is chosen at this length costs nothing.
  bool is_free(const Sentence& sentence, std::int64_t length) const {
    return begins(length) || (options_.at_limit == AtLimit::free && length >= sentence.max);
  }

  void keep_attention() {
    attention_of_row_.clear();
    for (std::size_t r = 0; r < parents_.size(); ++r) {
      attention_of_row_.push_back(static_cast<std::int64_t>(attention_.size()));
      const auto row = state_->attention(static_cast<std::int64_t>(r));
      attention_.insert(attention_.end(), row.begin(), row.end());
    }
  }

  std::int64_t attention_of(std::int32_t row) const {
    return options_.looks() ? attention_of_row_[static_cast<std::size_t>(row)] : -1;
  }

  // The offers of all living hypotheses of a sentence, ranked.
  void collect(const Sentence& sentence, std::int32_t first_row, std::int64_t length) {
    offers_.clear();
    for (std::size_t i = 0; i < sentence.living.size(); ++i) {
      const std::size_t at =
          (static_cast<std::size_t>(first_row) + i) * static_cast<std::size_t>(count_);
      for (std::size_t c = at; c < at + static_cast<std::size_t>(count_); ++c) {
        // A row without any choice is one of NaN: of numbers at least <eos> can be chosen.
        if ((ids_[c] < 0 && c == at) || std::isnan(scores_[c])) {
          fail<NumericError>("search: the model gives NaN for source {} at step {}", sentence.index,
                             length);
        }
        if (ids_[c] < 0) break;
        if (options_.ends(ids_[c]) && length < sentence.min && !begins(length)) continue;
        const bool forced = begins(length) || length >= sentence.max;
        if (!forced && is_banned(static_cast<std::size_t>(first_row) + i, ids_[c])) continue;
        const float score = is_free(sentence, length) ? 0.0f : scores_[c];
        offers_.push_back({sentence.living[i].sum + static_cast<double>(score),
                           static_cast<std::int32_t>(i), ids_[c], score});
      }
    }
    if (offers_.empty() && sentence.finished.empty()) {
      fail<NumericError>("search: the model leaves no token for source {} at step {}",
                         sentence.index, length);
    }
    std::ranges::sort(offers_, better);
  }

  // Lets the best offers finish or live on.
  void grow(Sentence& sentence, std::int32_t first_row, std::int64_t length) {
    const auto beam = static_cast<std::size_t>(options_.beam);
    grown_.clear();
    for (std::size_t rank = 0; rank < offers_.size() && grown_.size() < beam; ++rank) {
      const Offer& offer = offers_[rank];
      const Living& parent = sentence.living[static_cast<std::size_t>(offer.parent)];
      const std::int32_t row = first_row + offer.parent;
      if (options_.ends(offer.token) && !begins(length)) {
        if (rank >= beam) continue;
        Finished f{parent, offer.score, attention_of(row), offer.sum,
                   offer.sum / options_.penalty(length + 1)};
        add_coverage(sentence, f);
        sentence.finished.push_back(f);
        continue;
      }
      grown_.push_back({static_cast<std::int32_t>(nodes_.size()), offer.sum});
      nodes_.push_back({parent.node, offer.token, offer.score, attention_of(row)});
      parents_.push_back(row);
      tokens_.push_back(offer.token);
    }
    const bool cuts = options_.eos == -1 || options_.at_limit == AtLimit::cut;
    if (cuts && length + 1 >= sentence.max) return end_all(sentence, length + 1);
    sentence.living.assign(grown_.begin(), grown_.end());
  }

  void add_coverage(const Sentence& sentence, Finished& f) const {
    if (options_.coverage == 0.0) return;
    const auto received = coverage_of(attention_rows(sentence, f), columns(sentence));
    f.score += options_.coverage * coverage_penalty(received, ended_);
  }

  // What has grown to the greatest length is finished as it stands; no row of it is needed.
  void end_all(Sentence& sentence, std::int64_t length) {
    for (const Living& whole : grown_) {
      Finished f{whole, std::nullopt, -1, whole.sum, whole.sum / options_.penalty(length)};
      add_coverage(sentence, f);
      sentence.finished.push_back(f);
    }
    parents_.resize(parents_.size() - grown_.size());
    tokens_.resize(tokens_.size() - grown_.size());
    sentence.living.clear();
  }

  // Whether the search of a sentence whose living hypotheses have `length` tokens is over; if so
  // the rows it has just asked for are withdrawn.
  bool over(Sentence& sentence, std::int64_t length) {
    const std::size_t living = sentence.living.size(), done = sentence.finished.size();
    bool end = living == 0 ||
               (options_.stop == Stop::full && done >= static_cast<std::size_t>(options_.beam));
    const int rival = options_.stop == Stop::worst ? options_.beam : options_.n_best;
    if (!end && done >= static_cast<std::size_t>(rival)) {
      end = bound(sentence, length) <= score_at(sentence, rival);
    }
    if (end) {
      parents_.resize(parents_.size() - living);
      tokens_.resize(tokens_.size() - living);
    }
    return end;
  }

  // The best score that a living hypothesis may still reach. The penalty is monotone, so its
  // extremes are at the shortest and the longest end.
  double bound(const Sentence& sentence, std::int64_t length) const {
    if (options_.stop == Stop::worst) return offers_.front().sum / options_.penalty(length);
    const double sum = sentence.living.front().sum;
    const double now = sum / options_.penalty(length + 1);
    if (options_.stop == Stop::likely) return now;
    return std::max(now, sum / options_.penalty(sentence.max + 1));
  }

  // The n-th finished score.
  double score_at(const Sentence& sentence, int n) {
    ranked_.clear();
    for (const Finished& f : sentence.finished) ranked_.push_back(f.score);
    const auto nth = ranked_.begin() + (n - 1);
    std::ranges::nth_element(ranked_, nth, std::greater<>());
    return *nth;
  }

  void deliver(Sentence& sentence) {
    std::ranges::stable_sort(sentence.finished, std::greater<>(), &Finished::score);
    const auto wanted = static_cast<std::size_t>(options_.n_best);
    if (sentence.finished.size() > wanted) sentence.finished.resize(wanted);
    for (const Finished& f : sentence.finished) {
      results_[sentence.index].push_back(hypothesis(sentence, f));
    }
  }

  std::int64_t columns(const Sentence& sentence) const {
    return sentence.source + (ended_ ? 1 : 0);
  }

  // [steps, sources], the last row for <eos>, of zeros where there is none.
  std::vector<float> attention_rows(const Sentence& sentence, const Finished& f) const {
    std::vector<std::int64_t> rows = {f.attention};
    for (std::int32_t n = f.last.node; n >= 0; n = nodes_[static_cast<std::size_t>(n)].parent) {
      rows.push_back(nodes_[static_cast<std::size_t>(n)].attention);
    }
    std::vector<float> all;
    for (std::size_t i = rows.size(); i-- > 0;) {
      if (rows[i] < 0) {
        all.resize(all.size() + static_cast<std::size_t>(columns(sentence)));
        continue;
      }
      const auto begin = attention_.begin() + rows[i];
      all.insert(all.end(), begin, begin + columns(sentence));
    }
    return all;
  }

  Hypothesis hypothesis(const Sentence& sentence, const Finished& f) const {
    Hypothesis h;
    h.score = f.score;
    h.log_probability = f.sum;
    if (f.eos_score) h.token_scores.push_back(*f.eos_score);
    for (std::int32_t n = f.last.node; n >= 0; n = nodes_[static_cast<std::size_t>(n)].parent) {
      const Node& node = nodes_[static_cast<std::size_t>(n)];
      h.tokens.push_back(node.token);
      h.token_scores.push_back(node.score);
    }
    std::ranges::reverse(h.tokens);
    std::ranges::reverse(h.token_scores);
    if (options_.attention) {
      h.sources = columns(sentence);
      h.attention = attention_rows(sentence, f);
    }
    return h;
  }

  const SearchOptions& options_;
  const Prompt just_bos_ = {};
  std::vector<const Prompt*> prompts_;
  std::int64_t vocabulary_;
  bool ended_;  // the model ends its sources
  std::unique_ptr<StepState> state_;
  std::vector<Sentence> sentences_;  // those still searched; rows stand in their order
  std::vector<std::vector<Hypothesis>> results_;
  std::vector<Node> nodes_;
  std::vector<float> attention_;  // rows of attention that nodes point to
  // Of one step, by row; kept here for their memory.
  std::vector<std::int32_t> parents_, tokens_, forced_, ids_;
  std::vector<float> scores_;
  std::vector<std::int64_t> attention_of_row_;
  std::vector<std::vector<std::int32_t>> banned_;
  int count_ = 0;
  // Of one sentence.
  std::vector<Offer> offers_;
  std::vector<Living> grown_;
  std::vector<double> ranked_;
};

/// Goes on from options.begin and prefix as from a prompt.
std::vector<std::vector<Hypothesis>> search_behind(const StepModel& model,
                                                   std::span<const Tokens* const> sources,
                                                   const SearchOptions& options) {
  options.check(model.vocabulary());
  SearchOptions rest = options;
  rest.begin.clear();
  rest.prefix.clear();
  Tokens given = options.begin;
  given.insert(given.end(), options.prefix.begin(), options.prefix.end());
  std::vector<Prompt> prompts;
  for (const Tokens* source : sources) {
    prompts.push_back({.tokens = {options.bos}, .source = *source});
    prompts.back().tokens.insert(prompts.back().tokens.end(), given.begin(), given.end());
  }
  auto found = search(model, prompts, rest);
  for (auto& hypotheses : found) {
    for (Hypothesis& h : hypotheses) {
      h.tokens.insert(h.tokens.begin(), given.begin(), given.end());
      h.token_scores.insert(h.token_scores.begin(), given.size(), 0.0f);
      h.attention.insert(h.attention.begin(), given.size() * static_cast<std::size_t>(h.sources),
                         0.0f);
    }
  }
  return found;
}

}  // namespace

std::vector<std::vector<Hypothesis>> search(const StepModel& model,
                                            std::span<const Tokens* const> sources,
                                            const SearchOptions& options) {
  if (!options.prefix.empty()) return search_behind(model, sources, options);
  return Search(model, sources, {}, options).run();
}

std::vector<std::vector<Hypothesis>> search(const StepModel& model, std::span<const Prompt> prompts,
                                            const SearchOptions& options) {
  std::vector<const Tokens*> sources;
  for (const Prompt& prompt : prompts) sources.push_back(&prompt.source);
  return Search(model, sources, prompts, options).run();
}

std::vector<std::vector<Hypothesis>> search(const StepModel& model, std::span<const Tokens> sources,
                                            const SearchOptions& options) {
  std::vector<const Tokens*> pointers;
  for (const Tokens& source : sources) pointers.push_back(&source);
  return search(model, pointers, options);
}

}  // namespace qkv
