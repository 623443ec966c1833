"""tools/check_layers finds each kind of exception and lets the allowed includes pass."""
import importlib.machinery
import importlib.util
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check_layers"
loader = importlib.machinery.SourceFileLoader("check_layers", str(TOOL))
tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_layers", loader))
loader.exec_module(tool)


def errors_of(files):
    """The errors in a tree with these files, {path: [included, …]}; what is included exists."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path in [*files, *(i for includes in files.values() for i in includes)]:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()
        for path, includes in files.items():
            (root / path).write_text("".join(f'#include "{i}"\n' for i in includes))
        return tool.check(root)[0]


class CheckLayers(unittest.TestCase):
    def test_lets_lower_layers_and_side_rooms_pass(self):
        self.assertEqual(errors_of({
            "qkv/nn/a.h": ["qkv/nn/b.h", "qkv/attention/c.h", "qkv/base/d.h"],
            "qkv/text/a.h": ["qkv/tensor/b.h", "qkv/base/d.h"],
            "qkv/systems/a.h": ["qkv/decode/a.h", "qkv/text/a.h", "qkv/models/m.h"],
            "qkv/train/a.h": ["qkv/systems/a.h", "qkv/io/a.h"],
            "experiments/a.h": ["qkv/train/a.h", "demo/a.h"],
            "app/a.cc": ["app/b.h", "qkv/train/a.h"]}), [])

    def test_names_file_line_and_reason(self):
        self.assertEqual(errors_of({"qkv/base/a.h": ["qkv/base/b.h", "qkv/tensor/t.h"]}),
                         ["qkv/base/a.h:2: includes qkv/tensor/t.h: tensor is above base"])

    def test_finds_every_kind_of_exception(self):
        for path, include in [("qkv/text/a.h", "qkv/data/b.h"), ("qkv/io/a.h", "qkv/kernels/b.h"),
                              ("qkv/models/a.h", "qkv/text/b.h"), ("qkv/eval/a.h", "qkv/train/b.h"),
                              ("qkv/systems/a.h", "qkv/train/b.h"), ("qkv/train/a.h", "demo/b.h"),
                              ("qkv/nn/a.h", "app/b.h"), ("qkv/nowhere/a.h", "qkv/base/b.h")]:
            self.assertEqual(len(errors_of({path: [include]})), 1, f"{path} includes {include}")

    def test_finds_a_circle_of_rooms(self):
        self.assertEqual(
            errors_of({"qkv/eval/a.h": ["qkv/view/b.h"], "qkv/view/c.h": ["qkv/eval/a.h"]}),
            ["rooms in a circle: eval -> view -> eval"])

    def test_keeps_kernels_and_pointers_below_the_seam(self):
        def errors(path, line, before=""):
            return tool.seam_errors(path, tool.room_of(path), before + line, before + line)
        named = "  kernels::add(n, x, y, z);"
        for path in ["qkv/nn/a.cc", "qkv/models/a.h", "qkv/decode/a.cc", "qkv/train/a.cc", "app/a.cc"]:
            self.assertEqual(len(errors(path, named)), 1, path)
            self.assertEqual(len(errors(path, '#include "qkv/kernels/loss.h"')), 1, path)
            self.assertEqual(len(errors(path, "  x.data<T>()[i] = 0;")), 1, path)
            self.assertEqual(len(errors(path, "  float* p = weight.data();")), 1, path)
        for path in ["qkv/ops/a.cc", "qkv/attention/a.cc", "qkv/tensor/a.h", "qkv/text/a.cc",
                     "qkv/train/optimiser.cc", "bench/run/a.cc"]:
            self.assertEqual(errors(path, named + " w.data();"), [], path)
        for declared in ["std::vector<float> p;\n", "std::span<const int> p;\n", "std::string p;\n",
                         "const std::vector<std::vector<int>>& p,\n", "std::vector<int> q, p;\n"]:
            self.assertEqual(errors("qkv/nn/a.cc", "f(p.data());", declared), [], declared)
        self.assertEqual(errors("qkv/nn/a.cc", "// kernels::add is fast"), [])

    def test_finds_two_types_of_one_name(self):
        def errors(*texts):
            with tempfile.TemporaryDirectory() as folder:
                root = pathlib.Path(folder)
                for i, text in enumerate(texts):
                    (root / f"qkv/base/{i}.h").parent.mkdir(parents=True, exist_ok=True)
                    (root / f"qkv/base/{i}.h").write_text(text)
                return tool.check(root)[0]
        call = "namespace qkv {\nstruct Call {\n};\n}  // namespace qkv\n"
        self.assertEqual(errors(call, call.replace("struct", "class")),
                         ["qkv/base/1.h:2: qkv::Call is also the type at qkv/base/0.h:2; rename one"])
        self.assertEqual(errors(call, call.replace("qkv", "qkv::bench")), [])
        self.assertEqual(errors(call, call.replace("struct Call {\n}", "struct Call")), [])
        self.assertEqual(errors(call, call.replace("namespace qkv", "namespace qkv {\nnamespace", 1)
                                .replace("}  // namespace qkv", "}  // namespace\n}  // namespace qkv")),
                         [])


if __name__ == "__main__":
    unittest.main()
