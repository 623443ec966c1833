#include "qkv/data/node_files.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"
#include "qkv/base/number.h"
#include "qkv/base/utf8.h"
#include "qkv/data/lines.h"

namespace qkv {
namespace {

/// Beyond, the first weight of a network alone would take gigabytes.
constexpr std::int64_t kMostFeatures = 1 << 24;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

[[noreturn]] void refuse(const LineReader& reader, const std::string& why) {
  throw DataError(reader.name(), reader.line_number(), why);
}

std::vector<std::string_view> cut(std::string_view text, std::string_view marks) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find_first_of(marks, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// The words between blanks, tabs and commas.
std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> all = cut(text, " \t,");
  std::erase_if(all, [](std::string_view word) { return word.empty(); });
  return all;
}

std::int64_t feature_number(const LineReader& reader, std::string_view word) {
  std::int64_t number = 0;
  const bool digits =
      !word.empty() && word.size() <= 9 &&
      std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
  for (const char c : word) number = digits ? 10 * number + (c - '0') : 0;
  if (!digits || number >= kMostFeatures) {
    refuse(reader, fmt::format("'{}' is no number of a feature, 0 to {}; see --features", word,
                               kMostFeatures - 1));
  }
  return number;
}

float feature_value(const LineReader& reader, std::string_view word) {
  const std::optional<float> value = parse_float(word);
  if (!value) refuse(reader, fmt::format("'{}' is no value of a feature; see --features", word));
  return *value;
}

struct Feature {
  std::int32_t column;
  float value;
};

std::vector<Feature> features_of(const LineReader& reader, std::string_view text,
                                 FeatureForm form) {
  std::vector<Feature> row;
  std::int32_t place = 0;
  for (const std::string_view word : words(text)) {
    if (form == FeatureForm::dense) {
      if (place == kMostFeatures) refuse(reader, "has too many features");
      row.push_back({place++, feature_value(reader, word)});
      continue;
    }
    const std::size_t colon = form == FeatureForm::sparse ? word.find(':') : std::string_view::npos;
    if (form == FeatureForm::sparse && colon == std::string_view::npos) {
      refuse(reader, fmt::format("'{}' is no number:value; see --features", word));
    }
    const auto column = static_cast<std::int32_t>(feature_number(reader, word.substr(0, colon)));
    row.push_back({column, form == FeatureForm::sparse
                               ? feature_value(reader, word.substr(colon + 1))
                               : 1.0f});
  }
  std::sort(row.begin(), row.end(),
            [](const Feature& x, const Feature& y) { return x.column < y.column; });
  for (std::size_t i = 1; i < row.size(); ++i) {
    if (row[i].column == row[i - 1].column) {
      refuse(reader, fmt::format("feature {} stands there twice", row[i].column));
    }
  }
  return row;
}

NodePart part_of(const LineReader& reader, std::string_view word) {
  if (word == "-") return NodePart::none;
  if (word == "train") return NodePart::train;
  if (word == "valid") return NodePart::valid;
  if (word == "test") return NodePart::test;
  refuse(reader, fmt::format("the third field is '{}', not train, valid, test or -", word));
}

/// The nodes as the file has them, before they are put graph after graph.
class Reading {
 public:
  explicit Reading(const NodeFiles& files) : files_(files) {
    read_nodes();
    graph_of_.assign(ids_.size(), 0);
    names_ = {""};
    if (!files.graphs.empty()) read_graphs();
    seen_.resize(ids_.size());
    read_edges();
  }

  NodeGraph ordered() {
    std::vector<std::int64_t> order(ids_.size());
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      return graph_of_[at(a)] < graph_of_[at(b)];
    });
    std::vector<std::int64_t> place(order.size());
    for (std::size_t n = 0; n < order.size(); ++n)
      place[at(order[n])] = static_cast<std::int64_t>(n);
    NodeGraph g;
    auto rows = std::make_shared<SparseRows>();
    rows->columns = columns_;
    std::vector<std::int64_t> lengths(names_.size(), 0);
    for (const std::int64_t node : order) {
      g.ids.push_back(std::move(ids_[at(node)]));
      g.classes.push_back(std::move(classes_[at(node)]));
      g.parts.push_back(parts_[at(node)]);
      g.line_of.push_back(lines_[at(node)]);
      for (const Feature& f : features_[at(node)]) {
        if (f.value == 0) continue;
        rows->column.push_back(f.column);
        rows->value.push_back(f.value);
      }
      rows->offsets.push_back(rows->entries());
      ++lengths[at(graph_of_[at(node)])];
      take_edges(node, place, g);
    }
    g.features = std::move(rows);
    g.graphs = std::move(names_);
    g.segments = Segments(lengths);
    return g;
  }

 private:
  struct Seen {
    std::int64_t node;
    float weight;
    std::int64_t line;
  };

  void read_nodes() {
    LineReader reader(files_.nodes);
    for (std::string line; reader.next(line);) {
      if (trim_spaces(line).empty()) continue;
      const std::size_t third = [&] {
        std::size_t tab = line.find('\t');
        for (int n = 0; n < 2 && tab != std::string::npos; ++n) tab = line.find('\t', tab + 1);
        return tab;
      }();
      const auto fields = cut(std::string_view(line).substr(0, third), "\t");
      if (fields.size() != 3) {
        refuse(reader, fmt::format("has {} fields before its features, not id, class and part "
                                   "between tabs",
                                   fields.size()));
      }
      if (fields[0].empty()) refuse(reader, "has no id");
      if (fields[1].empty()) refuse(reader, "has no class; write - where it is unknown");
      const auto number = static_cast<std::int64_t>(ids_.size());
      const auto [first, fresh] = number_of_.emplace(std::string(fields[0]), number);
      if (!fresh) {
        refuse(reader, fmt::format("id '{}' stands in line {} already", fields[0],
                                   lines_[at(first->second)]));
      }
      ids_.emplace_back(fields[0]);
      classes_.emplace_back(fields[1] == "-" ? std::string_view() : fields[1]);
      parts_.push_back(part_of(reader, fields[2]));
      lines_.push_back(reader.line_number());
      features_.push_back(features_of(
          reader, third == std::string::npos ? "" : std::string_view(line).substr(third + 1),
          files_.features));
      take_width(reader);
    }
    if (ids_.empty()) throw DataError(reader.name(), 0, "holds no node");
  }

  void take_width(const LineReader& reader) {
    const std::vector<Feature>& row = features_.back();
    const std::int64_t width = row.empty() ? 0 : row.back().column + 1;
    if (files_.features == FeatureForm::dense && ids_.size() > 1 && width != columns_) {
      refuse(reader, fmt::format("has {} features, the first node has {}", width, columns_));
    }
    columns_ = std::max(columns_, width);
  }

  std::int64_t node(const LineReader& reader, std::string_view id) const {
    const auto found = number_of_.find(std::string(id));
    if (found == number_of_.end()) {
      refuse(reader, fmt::format("no node of {} has the id '{}'", files_.nodes, id));
    }
    return found->second;
  }

  void read_graphs() {
    LineReader reader(files_.graphs);
    std::unordered_map<std::string, std::int64_t> known;
    names_.clear();
    std::fill(graph_of_.begin(), graph_of_.end(), -1);
    for (std::string line; reader.next(line);) {
      if (trim_spaces(line).empty()) continue;
      const auto fields = cut(line, "\t");
      if (fields.size() != 2 || fields[1].empty()) {
        refuse(reader, "is not an id and the name of a graph, with a tab between");
      }
      const std::int64_t n = node(reader, fields[0]);
      const auto [graph, fresh] =
          known.emplace(std::string(fields[1]), static_cast<std::int64_t>(names_.size()));
      if (fresh) names_.emplace_back(fields[1]);
      if (graph_of_[at(n)] >= 0 && graph_of_[at(n)] != graph->second) {
        refuse(reader, fmt::format("node '{}' is in graph '{}' already", fields[0],
                                   names_[at(graph_of_[at(n)])]));
      }
      graph_of_[at(n)] = graph->second;
    }
    for (std::size_t n = 0; n < ids_.size(); ++n) {
      if (graph_of_[n] < 0) {
        throw DataError(reader.name(), 0,
                        fmt::format("node '{}' of line {} of {} is in no graph", ids_[n], lines_[n],
                                    files_.nodes));
      }
    }
  }

  void read_edges() {
    LineReader reader(files_.edges);
    std::int64_t loops = 0;
    for (std::string line; reader.next(line);) {
      if (trim_spaces(line).empty() || line.front() == '#') continue;
      const auto fields = cut(line, "\t");
      if (fields.size() != 2 && fields.size() != 3) {
        refuse(reader, "is not two ids, and perhaps a weight, between tabs");
      }
      const std::int64_t from = node(reader, fields[0]), to = node(reader, fields[1]);
      float weight = 1;
      if (fields.size() == 3) {
        const std::optional<float> value = parse_float(fields[2]);
        if (!value || !(*value > 0)) {
          refuse(reader, fmt::format("the weight is '{}', not a number above 0", fields[2]));
        }
        weight = *value;
        weighted_ = true;
      }
      if (from == to) {
        ++loops;
        continue;
      }
      if (graph_of_[at(from)] != graph_of_[at(to)]) {
        refuse(reader, fmt::format("'{}' and '{}' are in different graphs", fields[0], fields[1]));
      }
      seen_[at(to)].push_back({from, weight, reader.line_number()});
      if (!files_.directed) seen_[at(from)].push_back({to, weight, reader.line_number()});
    }
    const std::int64_t twice = drop_seconds(reader.name()) / (files_.directed ? 1 : 2);
    if (loops > 0 || twice > 0) {
      notice(fmt::format("{}: {} loops passed over, {} edges that were given before count once",
                         reader.name(), loops, twice));
    }
  }

  /// Sorts and leaves each neighbour once; how many were there again.
  std::int64_t drop_seconds(const std::string& path) {
    std::int64_t twice = 0;
    for (std::vector<Seen>& row : seen_) {
      std::stable_sort(row.begin(), row.end(),
                       [](const Seen& x, const Seen& y) { return x.node < y.node; });
      std::size_t kept = 0;
      for (const Seen& s : row) {
        if (kept > 0 && row[kept - 1].node == s.node) {
          if (row[kept - 1].weight != s.weight) {
            throw DataError(
                path, s.line,
                fmt::format("the edge has another weight than in line {}", row[kept - 1].line));
          }
          ++twice;
        } else {
          row[kept++] = s;
        }
      }
      row.erase(row.begin() + static_cast<std::ptrdiff_t>(kept), row.end());
    }
    return twice;
  }

  void take_edges(std::int64_t node, const std::vector<std::int64_t>& place, NodeGraph& g) {
    std::vector<Seen> row = std::move(seen_[at(node)]);
    for (Seen& s : row) s.node = place[at(s.node)];
    row.push_back({place[at(node)], 1.0f, 0});
    std::sort(row.begin(), row.end(), [](const Seen& x, const Seen& y) { return x.node < y.node; });
    std::vector<std::int64_t>& keys = g.neighbours.emplace_back();
    for (const Seen& s : row) keys.push_back(s.node);
    if (!weighted_) return;
    std::vector<float>& weights = g.weights.emplace_back();
    for (const Seen& s : row) weights.push_back(s.weight);
  }

  const NodeFiles& files_;
  std::unordered_map<std::string, std::int64_t> number_of_;
  std::vector<std::string> ids_, classes_, names_;
  std::vector<NodePart> parts_;
  std::vector<std::int64_t> lines_, graph_of_;
  std::vector<std::vector<Feature>> features_;
  std::vector<std::vector<Seen>> seen_;
  std::int64_t columns_ = 0;
  bool weighted_ = false;
};

}  // namespace

std::int64_t NodeGraph::edges() const {
  std::int64_t pairs = 0;
  for (const auto& keys : neighbours) pairs += static_cast<std::int64_t>(keys.size()) - 1;
  return pairs;
}

std::vector<std::int64_t> NodeGraph::labelled(NodePart part) const {
  std::vector<std::int64_t> found;
  for (std::int64_t n = 0; n < nodes(); ++n) {
    if (parts[at(n)] == part && !classes[at(n)].empty()) found.push_back(n);
  }
  return found;
}

std::vector<std::int64_t> NodeGraph::in_file_order() const {
  std::vector<std::int64_t> order(ids.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::int64_t a, std::int64_t b) { return line_of[at(a)] < line_of[at(b)]; });
  return order;
}

NodeGraph read_nodes(const NodeFiles& files) {
  if (files.nodes.empty() || files.edges.empty()) {
    throw UsageError("a graph needs --nodes and --edges");
  }
  return Reading(files).ordered();
}

}  // namespace qkv
