// CUDA C to a shared object, by g++: the source is preprocessed with the words of CUDA C (device/), the kernels are
// found in the result, and a table of them is put at its end. The same source with the same options is compiled once
// and found again in the cache folder beside the libraries.
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <dlfcn.h>
#include <fstream>
#include <regex>
#include <sstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"

std::string emulator_folder() {
  Dl_info info;
  dladdr(reinterpret_cast<void*>(&emulator_folder), &info);
  std::string path = info.dli_fname;
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

static std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

static void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

static std::string quoted(const std::string& word) {
  std::string result = "'";
  for (char c : word) result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

// The compiler must not load the emulation itself, nor inherit what a test preloads.
static bool run_compiler(const std::string& arguments, const std::string& log) {
  const char* compiler = getenv("EMULATED_GPU_CXX");
  std::string command = "env -u LD_LIBRARY_PATH -u LD_PRELOAD -u CPATH " + std::string(compiler ? compiler : "g++") + " " + arguments + " 2>" + quoted(log);
  int status = system(command.c_str());
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static std::string hash_of(const std::string& text) {
  uint64_t a = 1469598103934665603ull, b = 0x9e3779b97f4a7c15ull;
  for (unsigned char c : text) {
    a = (a ^ c) * 1099511628211ull;
    b = (b + c) * 6364136223846793005ull + (a >> 17);
  }
  char digits[40];
  snprintf(digits, sizeof digits, "%016llx%016llx", static_cast<unsigned long long>(a), static_cast<unsigned long long>(b));
  return digits;
}

struct KernelName {
  std::string name, bound;
};

// The text between a '(' at `open` and its ')'.
static std::string in_brackets(const std::string& text, size_t open, size_t* after) {
  int depth = 0;
  for (size_t at = open; at < text.size(); at++) {
    depth += text[at] == '(' ? 1 : text[at] == ')' ? -1 : 0;
    if (depth == 0) {
      *after = at + 1;
      return text.substr(open + 1, at - open - 1);
    }
  }
  *after = text.size();
  return "";
}

static bool is_template(const std::string& text, size_t at) {
  size_t begin = text.find_last_of(";}", at);
  begin = begin == std::string::npos ? 0 : begin;
  return text.substr(begin, at - begin).find("template") != std::string::npos;
}

// Blanks out every `__emulated_bounds__(...)` up to the first kernel bracket, and reads the kernel's name before it.
static KernelName read_kernel(std::string& text, size_t at) {
  static const std::string bounds = "__emulated_bounds__";
  KernelName kernel;
  for (;;) {
    size_t open = text.find('(', at), mark = text.find(bounds, at);
    if (open == std::string::npos) return kernel;
    if (mark < open) {
      size_t after;
      kernel.bound = in_brackets(text, open, &after);
      std::fill(text.begin() + long(mark), text.begin() + long(after), ' ');
      continue;
    }
    size_t end = text.find_last_not_of(" \t\n", open - 1), begin = end;
    while (begin > 0 && (isalnum(text[begin - 1]) || text[begin - 1] == '_')) begin--;
    kernel.name = text.substr(begin, end + 1 - begin);
    return kernel;
  }
}

static std::vector<KernelName> take_kernels(std::string& text) {
  static const std::string mark = "__emulated_global__";
  std::vector<KernelName> kernels;
  for (size_t at = 0; (at = text.find(mark, at)) != std::string::npos;) {
    std::fill(text.begin() + long(at), text.begin() + long(at + mark.size()), ' ');
    bool generic = is_template(text, at);
    KernelName kernel = read_kernel(text, at);
    size_t after, open = text.find('(', at);
    if (open == std::string::npos) break;
    in_brackets(text, open, &after);
    size_t next = text.find_first_not_of(" \t\n", after);
    bool defined = next != std::string::npos && text[next] == '{';
    if (!generic && defined) kernels.push_back(kernel);
  }
  return kernels;
}

// `extern __shared__ T name[]` becomes a pointer to the launch's dynamic shared memory (outside of functions a macro,
// since it moves with each launch), other shared variables become one for each host thread: the blocks of a launch run one after the other.
static std::string with_shared(const std::string& text) {
  static const std::regex dynamic(R"(extern\s+__emulated_shared__\s+(?:__attribute__\s*\(\(aligned\([^()]*\)\)\)\s*)?([\w\s:<>,]+?)\s*(\w+)\s*\[\s*\]\s*;)");
  std::string result;
  size_t done = 0;
  int depth = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), dynamic), end; it != end; ++it) {
    size_t at = size_t(it->position());
    for (size_t i = done; i < at; i++) depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
    result += text.substr(done, at - done);
    std::string type = (*it)[1], name = (*it)[2];
    result += depth > 0 ? type + "* const " + name + " = static_cast<" + type + "*>(emulated_dynamic_shared());"
                        : "\n#define " + name + " (static_cast<" + type + "*>(emulated_dynamic_shared()))\n";
    done = at + size_t(it->length());
  }
  result += text.substr(done);
  static const std::regex fixed(R"((static\s+)?__emulated_shared__)");
  return std::regex_replace(result, fixed, "static thread_local");
}

static std::string kernel_table(const std::vector<KernelName>& kernels) {
  std::string table = "\nextern \"C\" __attribute__((visibility(\"default\"))) const EmulatedKernel emulated_kernels[] = {\n";
  for (const KernelName& kernel : kernels) {
    std::string call = "EmulatedCall<decltype(&" + kernel.name + ")>";
    table += "  {\"" + kernel.name + "\", &" + call + "::call<&" + kernel.name + ">, " + call + "::count, " + call + "::sizes, emulated_bound(" +
             kernel.bound + ")},\n";
  }
  return table + "  {nullptr, nullptr, 0, nullptr, 0}};\n";
}

// The real NVRTC has no system headers: a source that needs one would only work here.
static std::string missing_header(const std::string& source, const std::vector<std::string>& folders) {
  static const std::regex include(R"(^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"])", std::regex::multiline);
  for (std::sregex_iterator it(source.begin(), source.end(), include), end; it != end; ++it) {
    bool found = false;
    for (const std::string& folder : folders) found |= access((folder + "/" + (*it)[1].str()).c_str(), R_OK) == 0;
    if (!found) return (*it)[1];
  }
  return "";
}

static std::string preprocessor_options(const std::vector<std::string>& options, std::vector<std::string>* folders) {
  std::string result;
  for (size_t i = 0; i < options.size(); i++) {
    std::string option = options[i];
    if (option == "-I" || option == "-D" || option == "-U") option += i + 1 < options.size() ? options[++i] : "";
    static const std::map<std::string, std::string> long_names = {{"--define-macro=", "-D"}, {"--include-path=", "-I"}, {"--undefine-macro=", "-U"}};
    for (auto& entry : long_names) {
      if (option.compare(0, entry.first.size(), entry.first) == 0) option = entry.second + option.substr(entry.first.size());
    }
    if (option.compare(0, 2, "-I") == 0) folders->push_back(option.substr(2));
    if (option.compare(0, 2, "-D") == 0 || option.compare(0, 2, "-U") == 0 || option.compare(0, 2, "-I") == 0) result += " " + quoted(option);
  }
  return result;
}

static bool build(const std::string& source, const std::string& name, const std::string& words, const std::string& base, Compiled* result) {
  std::string log = base + ".log", device = emulator_folder() + "/device";
  write_file(base + ".cu", "#line 1 \"" + name + "\"\n" + source);
  bool ok = run_compiler("-E -x c++ -std=c++17 -D__global__=__emulated_global__ -D__shared__=__emulated_shared__ '-D__launch_bounds__(...)=__emulated_bounds__(__VA_ARGS__)'"
                         " -I" + quoted(device) + words + " -include emulated_device.h -o " + quoted(base + ".ii") + " " + quoted(base + ".cu"), log);
  if (ok) {
    std::string text = read_file(base + ".ii");
    std::vector<KernelName> kernels = take_kernels(text);
    for (const KernelName& kernel : kernels) result->kernels.push_back(kernel.name);
    write_file(base + ".cpp", with_shared(text) + kernel_table(kernels));
    ok = run_compiler("-x c++ -std=c++17 -O1 -w -fPIC -shared -ffp-contract=off -fno-strict-aliasing -fno-exceptions -o " + quoted(base + ".tmp.so") + " " +
                      quoted(base + ".cpp"), log);
  }
  result->log = read_file(log);
  return ok;
}

Compiled compile_device_code(const std::string& source, const std::string& name, const std::vector<std::string>& options, bool strict) {
  Compiled result = {};
  std::vector<std::string> folders;
  std::string words = preprocessor_options(options, &folders);
  if (strict) {
    std::string missing = missing_header(source, folders);
    if (!missing.empty()) {
      result.log = name + ": catastrophic error: cannot open source file \"" + missing + "\"\n";
      return result;
    }
  }
  // The older architecture keeps candle's 16-bit kernels out.
  words += strict ? " -D__CUDA_ARCH__=900 -D__CUDACC_RTC__" : " -D__CUDA_ARCH__=520 -I" + quoted(emulator_folder() + "/device/candle");
  words += " -D__CUDACC__ -D__CUDACC_VER_MAJOR__=13 -D__CUDACC_VER_MINOR__=0";
  std::string cache = emulator_folder() + "/cache";
  mkdir(cache.c_str(), 0777);
  std::string key = cache + "/" + hash_of(source + words);
  result.path = key + ".so";
  std::string names = key + ".kernels";
  if (access(result.path.c_str(), R_OK) == 0) {
    std::istringstream lines(read_file(names));
    for (std::string line; std::getline(lines, line);) result.kernels.push_back(line);
    result.ok = true;
    return result;
  }
  static std::atomic<unsigned> number{0};
  std::string base = key + "." + std::to_string(getpid()) + "." + std::to_string(number++);
  result.ok = build(source, name, words, base, &result);
  if (result.ok) {
    std::string list;
    for (const std::string& kernel : result.kernels) list += kernel + "\n";
    write_file(base + ".names", list);
    rename((base + ".names").c_str(), names.c_str());
    rename((base + ".tmp.so").c_str(), result.path.c_str());
  }
  for (const char* ending : {".cu", ".ii", ".cpp", ".log"}) unlink((base + ending).c_str());
  return result;
}

// A name in a source, whole or (where a macro puts the type behind it) without its last word.
static bool names_kernel(const std::string& text, const std::string& kernel) {
  return text.find(kernel) != std::string::npos || text.find(kernel.substr(0, kernel.rfind('_') + 1) + "##") != std::string::npos;
}

// Which of candle's sources (copied by build.sh) a PTX text was made of: the one with most of its names in it.
std::string candle_source(const char* ptx) {
  static const std::regex entry(R"(\.entry\s+(\w+))");
  std::set<std::string> names;
  for (std::cregex_iterator it(ptx, ptx + strlen(ptx), entry), end; it != end; ++it) names.insert((*it)[1]);
  std::string folder = emulator_folder() + "/candle", best;
  size_t most = 0;
  DIR* listing = opendir(folder.c_str());
  for (dirent* file; listing && (file = readdir(listing));) {
    std::string name = file->d_name;
    if (name.size() < 3 || name.compare(name.size() - 3, 3, ".cu") != 0) continue;
    std::string text = read_file(folder + "/" + name);
    size_t count = 0;
    for (const std::string& kernel : names) count += names_kernel(text, kernel);
    if (count > most) most = count, best = folder + "/" + name;
  }
  if (listing) closedir(listing);
  return best;
}
