#include "qkv/text/pipeline/normalisers.h"

#include <algorithm>
#include <utility>

#include <utf8proc.h>

#include "qkv/base/error.h"
#include "qkv/text/normalise.h"
#include "qkv/text/pipeline/later_characters.h"
#include "qkv/text/pipeline/unicode.h"

namespace qkv::pipeline {
namespace {

bool always(std::string_view, const Stretch&) { return true; }
bool not_ascii(std::string_view text, const Stretch&) { return !is_ascii(text); }

/// A character and how many old ones it takes the place of: 1 − change.
struct Step {
  utf8proc_int32_t value;
  int change;
};

int combining_class(utf8proc_int32_t value) {
  return value < 0x300 ? 0 : utf8proc_get_property(value)->combining_class;
}

std::vector<Step> decomposed(std::string_view text, bool compatible) {
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                                      (compatible ? UTF8PROC_COMPAT : 0));
  std::vector<Step> steps;
  steps.reserve(text.size());
  for_each_point(text, [&](const CodePoint& c) {
    if (is_later_decomposition(c.value)) {
      steps.push_back({static_cast<utf8proc_int32_t>(c.value), 0});
      return;
    }
    utf8proc_int32_t buffer[32];  // Unicode's longest decomposition has 18
    int last_class = 0;
    const utf8proc_ssize_t n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c.value),
                                                       buffer, 32, options, &last_class);
    if (n < 0 || n > 32) fail("tokenise: {}", utf8proc_errmsg(n));
    for (utf8proc_ssize_t i = 0; i < n; ++i) steps.push_back({buffer[i], i > 0 ? 1 : 0});
  });
  for (auto begin = steps.begin(); begin != steps.end();) {
    if (combining_class(begin->value) == 0) {
      ++begin;
      continue;
    }
    const auto end = std::find_if(begin, steps.end(),
                                  [](const Step& s) { return combining_class(s.value) == 0; });
    std::stable_sort(begin, end, [](const Step& a, const Step& b) {
      return combining_class(a.value) < combining_class(b.value);
    });
    begin = end;
  }
  return steps;
}

/// The character that two make together, or −1.
utf8proc_int32_t composed(utf8proc_int32_t a, utf8proc_int32_t b) {
  if (b < 0x300) return -1;
  utf8proc_int32_t pair[2] = {a, b};
  const utf8proc_ssize_t n = utf8proc_normalize_utf32(
      pair, 2, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  return n == 1 ? pair[0] : -1;
}

/// Unicode's canonical composition; what a composed character takes the place of adds up.
std::vector<Step> recomposed(const std::vector<Step>& steps) {
  std::vector<Step> result;
  result.reserve(steps.size());
  std::ptrdiff_t starter = -1;  // in `result`
  int last_class = -1;          // of what stands between, −1: nothing
  for (const Step& s : steps) {
    const int k = combining_class(s.value);
    if (starter >= 0 && last_class < k) {
      Step& first = result[static_cast<std::size_t>(starter)];
      if (const utf8proc_int32_t both = composed(first.value, s.value); both >= 0) {
        first = {both, first.change + s.change - 1};
        continue;
      }
    }
    if (k == 0) {
      starter = static_cast<std::ptrdiff_t>(result.size());
      last_class = -1;
    } else {
      last_class = k;
    }
    result.push_back(s);
  }
  return result;
}

void put(Rewriter& out, char32_t c, int change) {
  std::string bytes;
  append(bytes, c);
  out.put(bytes, change);
}

struct Apply {
  TracedText& text;

  void operator()(const UnicodeForm& form) const {
    text.rewrite(not_ascii, [&form](std::string_view old, Rewriter& out) {
      std::vector<Step> steps = decomposed(old, form.compatible);
      if (form.compose) steps = recomposed(steps);
      for (const Step& s : steps) put(out, static_cast<char32_t>(s.value), s.change);
    });
  }
  void operator()(const LowerCase&) const {
    const auto changes = [](std::string_view old, const Stretch&) {
      return std::any_of(old.begin(), old.end(), [](char c) {
        return static_cast<unsigned char>(c) >= 0x80 || (c >= 'A' && c <= 'Z');
      });
    };
    text.rewrite(changes, [](std::string_view old, Rewriter& out) {
      std::string lower;
      for_each_point(old, [&](const CodePoint& c) {
        if (c.value < 0x80) {
          const bool upper = c.value >= U'A' && c.value <= U'Z';
          const char small = static_cast<char>(upper ? c.value - U'A' + U'a' : c.value);
          return out.put({&small, 1});
        }
        lower.clear();
        append_lower(lower, c.value);
        int change = 0;
        for_each_point(lower, [&](const CodePoint& l) { out.put(l.bytes, change++ > 0 ? 1 : 0); });
      });
    });
  }
  void operator()(const StripAccents&) const { drop_if(is_mark); }
  void operator()(const StripEnds& ends) const {
    text.rewrite(always, [&ends](std::string_view old, Rewriter& out) {
      std::string_view kept = trim_spaces(old);
      const auto begin = static_cast<std::size_t>(kept.data() - old.data());
      const std::size_t first = kept.empty() ? old.size() : ends.left ? begin : 0;
      const std::size_t last = kept.empty() ? old.size()
                               : ends.right ? begin + kept.size()
                                            : old.size();
      std::size_t at = 0;
      for_each_point(old, [&](const CodePoint& c) {
        const bool keep = at >= first && at < last;
        keep ? out.put(c.bytes) : out.drop();
        at += c.bytes.size();
      });
    });
  }
  void operator()(const Replacing& r) const { replace_all(r.pattern, r.content, text); }
  void operator()(const Prepending& p) const {
    text.rewrite(always, [&p](std::string_view old, Rewriter& out) { prepend(p.text, old, out); });
  }
  void operator()(const Precompiled& p) const {
    const auto changes = [&p](std::string_view old, const Stretch&) {
      return !p.map->keeps_ascii(old);
    };
    text.rewrite(changes, [&p](std::string_view old, Rewriter& out) { rewrite(*p.map, old, out); });
  }
  void operator()(const BertNormaliser& bert) const {
    if (bert.clean_text) clean();
    if (bert.chinese) separate_ideographs();
    if (bert.strip_accents.value_or(bert.lower)) {
      (*this)(UnicodeForm{});
      drop_if(is_nonspacing);
    }
    if (bert.lower) (*this)(LowerCase{});
  }

 private:
  void drop_if(bool (*drop)(char32_t)) const {
    text.rewrite(not_ascii, [drop](std::string_view old, Rewriter& out) {
      for_each_point(old,
                     [&](const CodePoint& c) { drop(c.value) ? out.drop() : out.put(c.bytes); });
    });
  }
  void clean() const {
    const auto changes = [](std::string_view old, const Stretch&) {
      return std::any_of(old.begin(), old.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E;
      });
    };
    text.rewrite(changes, [](std::string_view old, Rewriter& out) {
      for_each_point(old, [&](const CodePoint& c) {
        if (c.value == 0 || is_dropped(c.value)) {
          out.drop();
        } else {
          out.put(is_space(c.value) ? " " : c.bytes);
        }
      });
    });
  }
  void separate_ideographs() const {
    text.rewrite(not_ascii, [](std::string_view old, Rewriter& out) {
      for_each_point(old, [&](const CodePoint& c) {
        if (!is_ideograph(c.value)) return out.put(c.bytes);
        out.put(" ");
        out.put(c.bytes, 1);
        out.put(" ", 1);
      });
    });
  }

  /// Whole clusters of fewer than six bytes first, then character by character. What a cluster
  /// turns into takes the place of its characters from the left; the last one takes all that are
  /// left.
  static void rewrite(const Charsmap& map, std::string_view old, Rewriter& out) {
    std::vector<std::pair<std::string, int>> steps;
    const auto replace = [&steps](std::size_t characters, std::string_view fresh) {
      const std::size_t before = steps.size();
      for_each_point(fresh, [&](const CodePoint& c) { steps.emplace_back(c.bytes, 0); });
      const std::size_t count = steps.size() - before;
      for (std::size_t i = characters; i < count; ++i) steps[before + i].second = 1;
      if (count < characters && !steps.empty()) {
        steps.back().second -= static_cast<int>(characters - count);
      }
    };
    for (const std::string_view cluster : characters(old)) {
      if (cluster.size() < 6) {
        if (const auto fresh = map.replacement(cluster)) {
          replace(code_points(cluster).size(), *fresh);
          continue;
        }
      }
      for_each_point(cluster, [&](const CodePoint& c) {
        if (const auto fresh = map.replacement(c.bytes)) {
          replace(1, *fresh);
        } else {
          steps.emplace_back(c.bytes, 0);
        }
      });
    }
    for (const auto& [bytes, change] : steps) out.put(bytes, change);
  }
};

}  // namespace

void prepend(std::string_view prefix, std::string_view text, Rewriter& out) {
  int change = 0;
  for_each_point(prefix, [&](const CodePoint& c) { out.put(c.bytes, change++ > 0 ? 1 : 0); });
  for_each_point(text, [&](const CodePoint& c) {
    out.put(c.bytes, change > 0 ? 1 : 0);
    change = 0;
  });
}

void replace_all(const Pattern& pattern, std::string_view content, TracedText& text) {
  std::vector<std::pair<std::size_t, std::size_t>> matches;
  const auto find = [&](std::string_view old) {
    matches.clear();
    find_all(pattern, old, [&](std::size_t b, std::size_t e) { matches.emplace_back(b, e); });
  };
  const auto changes = [&](std::string_view old, const Stretch&) {
    find(old);
    return !matches.empty();
  };
  text.rewrite(changes, [&](std::string_view old, Rewriter& out) {
    find(old);
    std::size_t at = 0, next = 0;
    for_each_point(old, [&](const CodePoint& c) {
      while (next < matches.size() && matches[next].second <= at) ++next;
      const bool inside = next < matches.size() && at >= matches[next].first;
      inside ? out.drop() : out.put(c.bytes);
      at += c.bytes.size();
      if (inside && at == matches[next].second) {
        for_each_point(content, [&](const CodePoint& fresh) { out.put(fresh.bytes, 1); });
      }
    });
  });
}

void apply(const Normaliser& normaliser, TracedText& text) { std::visit(Apply{text}, normaliser); }

std::string normalised(const std::vector<Normaliser>& normalisers, std::string_view text) {
  TracedText traced(text);
  for (const Normaliser& n : normalisers) apply(n, traced);
  return traced.stretches().empty() ? std::string()
                                    : std::string(traced.text(traced.stretches().front()));
}

}  // namespace qkv::pipeline
