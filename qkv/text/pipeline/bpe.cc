#include <queue>

#include "qkv/base/error.h"
#include "qkv/text/pipeline/models.h"
#include "qkv/text/pipeline/unicode.h"

namespace qkv::pipeline {
namespace {

/// A piece of the word while it is put together; of length 0 once it was joined to the one before.
struct Symbol {
  std::int32_t id;
  std::uint32_t length;
  std::int32_t before, after;  // neighbours, −1: none
};

class Word {
 public:
  explicit Word(const BpeModel& model) : model_(model) {}

  void add(std::int32_t id, std::size_t length) {
    const auto n = static_cast<std::int32_t>(symbols_.size());
    if (n > 0) symbols_.back().after = n;
    symbols_.push_back({id, static_cast<std::uint32_t>(length), n - 1, -1});
  }

  void merge() {
    for (std::size_t i = 0; i + 1 < symbols_.size(); ++i) propose(static_cast<std::int32_t>(i));
    while (!queue_.empty()) {
      const Proposal top = queue_.top();
      queue_.pop();
      Symbol& left = at(top.position);
      if (left.length == 0 || left.after < 0) continue;
      Symbol& right = at(left.after);
      // The pair may have changed since; any that gives the same piece will do.
      const Merge* merge = merge_of(left, right);
      if (!merge || merge->id != top.id) continue;
      left = {top.id, left.length + right.length, left.before, right.after};
      right.length = 0;
      if (left.after >= 0) at(left.after).before = top.position;
      if (left.before >= 0) propose(left.before);
      propose(top.position);
    }
  }

  void write(std::vector<Token>& tokens) const {
    std::uint32_t begin = 0;
    for (const Symbol& s : symbols_) {
      if (s.length == 0) continue;
      tokens.push_back({s.id, begin, begin + s.length});
      begin += s.length;
    }
  }

 private:
  struct Proposal {
    std::uint32_t rank;
    std::int32_t position, id;
    bool operator<(const Proposal& other) const {  // the queue gives the largest first
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };

  Symbol& at(std::int32_t i) { return symbols_[static_cast<std::size_t>(i)]; }
  const Merge* merge_of(const Symbol& left, const Symbol& right) const {
    return model_.merges.find(left.id, right.id);
  }
  void propose(std::int32_t position) {
    const Symbol& left = at(position);
    if (left.after < 0) return;
    if (const Merge* m = merge_of(left, at(left.after))) {
      queue_.push({m->rank, position, m->id});
    }
  }

  const BpeModel& model_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Proposal> queue_;
};

}  // namespace

void BpeModel::cut(std::string_view word, std::vector<Token>& tokens) const {
  if (ignore_merges) {
    if (const auto found = pieces.find(word); found != pieces.end()) {
      tokens.push_back({found->second, 0, static_cast<std::uint32_t>(word.size())});
      return;
    }
  }
  Word symbols(*this);
  std::size_t unknown = 0;  // bytes of unknown characters that are no symbol yet
  std::string piece;
  std::size_t at = 0;
  const bool bare = inside_prefix.empty() && end_suffix.empty();
  for_each_point(word, [&](const CodePoint& c) {
    // The character alone counts, but for the prefix or suffix of those that have one.
    const std::size_t length = c.bytes.size();
    std::int32_t id = -1;
    if (bare && c.value < characters.size()) {
      id = characters[c.value];
      piece = c.bytes;
    } else {
      piece = at > 0 ? inside_prefix : "";
      piece += c.bytes;
      if (at + length == word.size()) piece += end_suffix;
      if (const auto found = pieces.find(piece); found != pieces.end()) id = found->second;
    }
    at += length;
    if (id >= 0) {
      if (unknown > 0) symbols.add(unk, unknown);
      unknown = 0;
      symbols.add(id, length);
      return;
    }
    if (byte_fallback) {
      bool all = true;
      for (const char b : piece) all = all && bytes[static_cast<unsigned char>(b)] >= 0;
      if (all) {
        for (const char b : piece) symbols.add(bytes[static_cast<unsigned char>(b)], 1);
        return;
      }
    }
    if (!unk_token) return;
    if (unk < 0) {
      fail("tokenise: '{}' is unknown, and the vocabulary lacks '{}'", c.bytes, *unk_token);
    }
    if (unknown > 0 && !fuse_unk) {
      symbols.add(unk, unknown);
      unknown = 0;
    }
    unknown += length;
  });
  if (unknown > 0) symbols.add(unk, unknown);
  symbols.merge();
  symbols.write(tokens);
}

}  // namespace qkv::pipeline
