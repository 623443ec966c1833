// Models of pictures as a user holds them: pictures in, a class for each of them out.
//
// After load() nothing is written: any number of threads may ask one of them at once. A picture
// gets the same answer, to the bit, whatever stands beside it. Pictures of any size are resized to
// the model's side in both directions, so that they are stretched where they are no squares;
// colours become grey, or grey is replicated, as the model has its channels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/eval/classification.h"
#include "qkv/media/picture_tables.h"
#include "qkv/systems/system.h"
#include "qkv/view/picture_attention.h"

namespace qkv {

struct PictureModel;  // picture_model.h: what training makes

struct ClassifiedPicture {
  std::string label;
  double probability = 0;
  std::vector<double> probabilities;  // of labels() in their order

  /// The `most` likeliest classes, as places among labels(), likeliest first.
  std::vector<std::size_t> likeliest(std::size_t most) const;
};

class PictureClassifier {
 public:
  /// Throws FileError or DataError when the directory holds no model of pictures, or is damaged.
  static PictureClassifier load(const std::filesystem::path& directory,
                                const LoadOptions& options = {});
  explicit PictureClassifier(PictureModel model, const LoadOptions& options = {});
  void save(const std::filesystem::path& directory) const;

  const std::vector<std::string>& labels() const;
  ClassifiedPicture classify(const Picture& picture) const;
  /// One a picture, in their order.
  std::vector<ClassifiedPicture> classify(std::span<const Picture> pictures) const;
  /// Right and wrong on a labelled set, at least one picture. Throws Error for a class that the
  /// model does not have.
  ClassReport score(const PictureSet& set) const;
  /// What the patches attend to in all layers ("encoder"). Throws Error for a model that attends to
  /// nothing.
  PictureAttention attention(const Picture& picture) const;
  Info info() const;
  const PictureModel& model() const { return *model_; }

 private:
  std::shared_ptr<const PictureModel> model_;
  LoadOptions options_;
};

}  // namespace qkv
