#include "qkv/attention/parse_mask.h"

#include <cctype>
#include <charconv>
#include <string>

#include "qkv/base/error.h"

namespace qkv {
namespace {

using List = std::vector<std::int64_t>;

class MaskParser {
 public:
  explicit MaskParser(std::string_view text) : text_(text) {}

  Mask whole() {
    const Mask mask = expression(0);
    if (peek() != '\0') expected("'&', '|' or the end");
    return mask;
  }

 private:
  [[noreturn]] void complain(std::size_t at, std::string_view what) const {
    fail("mask: character {}: {}", at + 1, what);
  }
  [[noreturn]] void expected(std::string_view what) {
    const char c = peek();
    const std::string found = c == '\0' ? "the end" : fmt::format("'{}'", c);
    complain(at_, fmt::format("expected {}, not {}", what, found));
  }
  /// The next character that is no space; '\0' at the end.
  char peek() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void need(char c) {
    if (!take(c)) expected(fmt::format("'{}'", c));
  }
  std::string_view word() {
    peek();
    const std::size_t begin = at_;
    while (at_ < text_.size() &&
           (std::isalpha(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) {
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }

  Mask expression(int depth) {
    Mask mask = term(depth);
    while (take('|')) mask = mask | term(depth);
    return mask;
  }
  Mask term(int depth) {
    Mask mask = factor(depth);
    while (take('&')) mask = mask & factor(depth);
    return mask;
  }
  Mask factor(int depth) {
    if (depth > 100) complain(at_, "nested too deep");
    if (take('~')) return ~factor(depth + 1);
    if (take('(')) {
      const Mask mask = expression(depth + 1);
      need(')');
      return mask;
    }
    peek();
    const std::size_t begin = at_;
    const std::string_view name = word();
    if (name.empty()) expected("a mask");
    need('(');
    Mask mask = ready_made(name, begin);
    need(')');
    return mask;
  }
  Mask ready_made(std::string_view name, std::size_t begin);

  std::int64_t number() {
    peek();
    std::int64_t value = 0;
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error == std::errc::result_out_of_range) complain(at_, "a number too large");
    if (error != std::errc()) expected("a number");
    at_ += static_cast<std::size_t>(end - begin);
    return value;
  }
  List list() {
    List values;
    need('[');
    if (take(']')) return values;
    do values.push_back(number());
    while (take(','));
    need(']');
    return values;
  }
  std::vector<List> lists() {
    std::vector<List> all;
    if (peek() == ')') return all;
    do all.push_back(list());
    while (take(','));
    return all;
  }
  Pattern pattern() {
    Pattern p;
    std::int64_t column = 0;
    if (peek() != '0' && peek() != '1') expected("flags like 110/011");
    const auto end_row = [&] {
      if (p.rows++ == 0) p.keys = column;
      if (column != p.keys) complain(at_, "rows of flags differ in length");
      column = 0;
    };
    for (char c = peek(); c == '0' || c == '1' || c == '/'; c = peek()) {
      if (c == '/') {
        end_row();
      } else {
        p.visible.push_back(c == '1');
        ++column;
      }
      ++at_;
    }
    end_row();
    return p;
  }
  /// The word as the only argument, or as a last one behind a comma.
  bool option(std::string_view wanted, bool first) {
    if (first ? peek() == ')' : !take(',')) return false;
    peek();
    const std::size_t begin = at_;
    if (word() != wanted) complain(begin, fmt::format("expected {}", wanted));
    return true;
  }
  Alignment alignment(bool first) {
    return option("top_left", first) ? Alignment::top_left : Alignment::bottom_right;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

Mask MaskParser::ready_made(std::string_view name, std::size_t begin) {
  if (name == "everything") return everything();
  if (name == "causal") return causal(alignment(true));
  if (name == "prefix") return prefix(number());
  if (name == "window") {
    const std::int64_t left = number();
    if (peek() != ',') return window(left);
    need(',');
    const std::int64_t right = number();
    return window(left, right, alignment(false));
  }
  if (name == "dilated") {
    const std::int64_t size = number();
    need(',');
    const std::int64_t step = number();
    return dilated(size, step, alignment(false));
  }
  if (name == "segments" || name == "documents") {
    const List rows = list(), keys = take(',') ? list() : rows;
    return name == "segments" ? segments(Segments(rows), Segments(keys)) : documents(rows, keys);
  }
  if (name == "lengths") return lengths(list());
  if (name == "query_lengths") {
    std::vector<List> all = lists();
    return all.size() == 1 ? query_lengths(std::move(all.front())) : query_lengths(all);
  }
  if (name == "graph") return graph(lists());
  if (name == "block_sparse") {
    const std::int64_t block = number();
    need(',');
    return block_sparse(block, pattern());
  }
  if (name == "dense") {
    Pattern p = pattern();
    return dense(std::move(p), option("packed", false) ? Numbering::packed : Numbering::sequence);
  }
  complain(begin,
           fmt::format("no mask '{}'; there are everything, segments, causal, window, prefix, "
                       "lengths, query_lengths, dilated, documents, graph, block_sparse, dense",
                       name));
}

}  // namespace

Mask parse_mask(std::string_view text) { return MaskParser(text).whole(); }

}  // namespace qkv
