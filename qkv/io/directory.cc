#include "qkv/io/directory.h"

#include <system_error>

#include "qkv/base/error.h"

namespace qkv {

Json require_model_directory(const std::filesystem::path& directory) {
  namespace fs = std::filesystem;
  const std::string name = directory.string();
  std::error_code code;
  const fs::file_status status = fs::status(directory, code);
  if (status.type() == fs::file_type::not_found) {
    fail<FileError>("{}: no such model directory; check the path or train a model first", name);
  }
  if (code) fail<FileError>("{}: cannot look into the model directory: {}", name, code.message());
  if (!fs::is_directory(status)) {
    fail<FileError>("{}: is a file; name the model directory that holds it", name);
  }
  const fs::path config = directory / kConfigFile;
  if (!fs::exists(config, code)) {
    if (code) fail<FileError>("{}: cannot look for it: {}", config.string(), code.message());
    const bool training = fs::exists(directory / kStateFolder, code);
    fail<FileError>("{}: is no model directory: it has no {}{}", name, kConfigFile,
                    training ? "; its training has not kept a model yet, resume it" : "");
  }
  Json json = read_json(config);
  FieldReader fields(json, config.string());
  if (!fields.has("format")) {
    throw DataError(config.string(), 0, "has no field 'format'; this is no model of qkv");
  }
  const std::int64_t format = fields.integer("format", {.least = 1});
  if (format != kModelFormat) {
    throw DataError(
        config.string(), 0,
        fmt::format("the model has format {}, this program reads format {}; {}", format,
                    kModelFormat,
                    format > kModelFormat ? "use a newer qkv" : "train or import it again"));
  }
  return json;
}

}  // namespace qkv
