// A text on its way to the model: what it was rewritten to, for each byte of that the part of the
// original it stands for, and the stretches it was cut into. Rewriting and cutting look at one
// stretch at a time and leave those alone that are a token already.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/text/token_pipeline.h"

namespace qkv::pipeline {

struct Stretch {
  std::size_t begin = 0, end = 0;  // of TracedText::text
  std::uint32_t origin = 0;        // where it begins in the original
  std::int32_t token = -1;         // an added token, which nothing looks into
};

/// Writes the new text of a stretch while it walks over the old one. Without `spans` nothing is
/// traced.
class Rewriter {
 public:
  Rewriter(std::string_view old, const TextSpan* spans, std::uint32_t origin, std::string& text,
           std::vector<TextSpan>& origins)
      : old_(old), spans_(spans), origin_(origin), text_(text), origins_(origins) {}

  /// A character in the place of the next old one, and of `-change` more after it; with change > 0
  /// a new one, which stands for what the one before it stands for.
  void put(std::string_view character, int change = 0) {
    text_ += character;
    if (spans_ != nullptr) trace(character.size(), change);
  }
  /// Drops the next old character.
  void drop() {
    if (spans_ != nullptr) step();
  }

 private:
  void trace(std::size_t bytes, int change);
  void step();

  std::string_view old_;
  const TextSpan* spans_;
  std::uint32_t origin_;
  std::string& text_;
  std::vector<TextSpan>& origins_;
  std::size_t at_ = 0;
};

class TracedText {
 public:
  /// Any bytes of at most 2^32 − 2. Who does not ask for spans need not pay for them: untraced,
  /// span() and Stretch::origin mean nothing.
  explicit TracedText(std::string_view original, bool traced = true);

  const std::vector<Stretch>& stretches() const { return stretches_; }
  std::string_view text(const Stretch& s) const {
    return std::string_view(text_).substr(s.begin, s.end - s.begin);
  }
  /// What bytes [begin, end) of a stretch stand for.
  TextSpan span(const Stretch& s, std::size_t begin, std::size_t end) const;

  /// f(text, rewriter) for each open stretch that `changes(text)` says will change.
  template <class Changes, class F>
  void rewrite(Changes&& changes, F&& f) {
    bool any = false;
    for (const Stretch& s : stretches_) any = any || (s.token < 0 && changes(text(s), s));
    if (!any) return;
    std::string fresh;
    std::vector<TextSpan> origins;
    fresh.reserve(text_.size() + 16);
    if (traced_) origins.reserve(text_.size() + 16);
    for (Stretch& s : stretches_) {
      const std::size_t begin = fresh.size();
      if (s.token < 0 && changes(text(s), s)) {
        Rewriter out(text(s), traced_ ? spans_.data() + s.begin : nullptr, s.origin, fresh,
                     origins);
        f(text(s), out);
      } else {
        fresh.append(text_, s.begin, s.end - s.begin);
        if (!traced_) {
          s.begin = begin;
          s.end = fresh.size();
          continue;
        }
        origins.insert(origins.end(), spans_.begin() + static_cast<std::ptrdiff_t>(s.begin),
                       spans_.begin() + static_cast<std::ptrdiff_t>(s.end));
      }
      s.begin = begin;
      s.end = fresh.size();
    }
    text_ = std::move(fresh);
    spans_ = std::move(origins);
    std::erase_if(stretches_, [](const Stretch& s) { return s.begin == s.end; });
  }

  /// f(text, emit) for each open stretch, which becomes what emit(begin, end, token = -1) names, in
  /// this order; empty ones are left out.
  template <class F>
  void cut(F&& f) {
    std::vector<Stretch> parts;
    parts.reserve(stretches_.size() * 2);
    for (const Stretch& s : stretches_) {
      if (s.token >= 0) {
        parts.push_back(s);
        continue;
      }
      f(text(s), [&](std::size_t begin, std::size_t end, std::int32_t token = -1) {
        if (begin >= end) return;
        const std::uint32_t origin = traced_ ? spans_[s.begin + begin].begin : 0;
        parts.push_back({s.begin + begin, s.begin + end, origin, token});
      });
    }
    stretches_ = std::move(parts);
  }

 private:
  bool traced_;
  std::string text_;
  std::vector<TextSpan> spans_;  // of each byte; untraced: none
  std::vector<Stretch> stretches_;
};

}  // namespace qkv::pipeline
