// Stands in for the CUDA driver's library: two devices whose memory is the CPU's, launches by the emulator.
//
// An image is the path of a library of emulated kernels after the bytes "IMAGE:". Contexts, modules and functions belong
// to a device; what is used without its context being current is an error, as are handles that were not returned
// before. `driver_log` returns what was called. Compiled with macros that rename the functions, it is HIP's library.

#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

struct Context {
    int device;
};
struct Module {
    Context* context;
    const char* (*emulate)(const char*, int, int, void**, int);
};
struct Function {
    Module* module;
    std::string name;
};

static const int NUM_DEVICES = 2;
static Context contexts[NUM_DEVICES] = {{0}, {1}};
static thread_local std::vector<Context*> current;
static bool initialized;
static std::string calls, last_error;
static std::vector<Function*> functions;
static const int INVALID_VALUE = 1, NOT_INITIALIZED = 3, INVALID_IMAGE = 200, INVALID_CONTEXT = 201, NOT_FOUND = 500;
static const int LAUNCH_FAILED = 719;

static int fail(int status, const std::string& text) {
    last_error = text;
    return status;
}

static bool is_current(Context* context) { return !current.empty() && current.back() == context; }

extern "C" {

int cuInit(unsigned flags) {
    if (flags) return fail(INVALID_VALUE, "flags");
    initialized = true;
    return 0;
}

int cuDriverGetVersion(int* version) {
    *version = 12080;
    return 0;
}

int cuDeviceGet(int* device, int ordinal) {
    if (!initialized) return fail(NOT_INITIALIZED, "not initialized");
    if (ordinal < 0 || ordinal >= NUM_DEVICES) return fail(101, "invalid device ordinal");
    *device = ordinal + 10;  // a handle, not the ordinal
    return 0;
}

int cuDevicePrimaryCtxRetain(Context** context, int device) {
    if (device < 10 || device >= 10 + NUM_DEVICES) return fail(101, "invalid device");
    *context = &contexts[device - 10];
    return 0;
}

int cuCtxPushCurrent_v2(Context* context) {
    current.push_back(context);
    return 0;
}

int cuCtxPopCurrent_v2(Context** context) {
    if (current.empty()) return fail(INVALID_CONTEXT, "no context is current");
    *context = current.back();
    current.pop_back();
    return 0;
}

int cuModuleLoadData(Module** module, const char* image) {
    if (current.empty()) return fail(INVALID_CONTEXT, "no context is current");
    if (strncmp(image, "IMAGE:", 6)) return fail(INVALID_IMAGE, "device kernel image is invalid");
    void* library = dlopen(image + 6, RTLD_NOW);
    void* emulate = library ? dlsym(library, "emulate") : nullptr;
    if (!emulate) return fail(INVALID_IMAGE, "device kernel image is invalid");
    *module = new Module{current.back(), (decltype(Module::emulate))emulate};
    calls += "load on " + std::to_string(current.back()->device) + "\n";
    return 0;
}

int cuModuleGetFunction(Function** function, Module* module, const char* name) {
    if (!is_current(module->context)) return fail(INVALID_CONTEXT, "the module's context is not current");
    *function = new Function{module, name};
    functions.push_back(*function);
    return 0;
}

int cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                   unsigned block_z, unsigned shared_bytes, void* stream, void** arguments, void** extra) {
    bool known = false;
    for (Function* other : functions) known |= other == function;
    if (!known) return fail(NOT_FOUND, "named symbol not found");
    if (!is_current(function->module->context)) return fail(INVALID_CONTEXT, "the function's context is not current");
    if (!grid_x || grid_y != 1 || grid_z != 1 || block_y != 1 || block_z != 1 || shared_bytes || extra)
        return fail(INVALID_VALUE, "invalid argument");
    char line[128];
    snprintf(line, sizeof line, "%s x%u on %d stream %zu\n", function->name.c_str(), grid_x,
             function->module->context->device, (size_t)stream);
    calls += line;
    const char* error =
        function->module->emulate(function->name.c_str(), int(grid_x), int(block_x), arguments, -1);
    return error ? fail(LAUNCH_FAILED, error) : 0;
}

int cuGetErrorString(int, const char** text) {
    *text = last_error.c_str();
    return 0;
}

// Returns the calls since the last time, one per line; and how many contexts are left on this thread.
const char* driver_log() {
    static std::string log;
    log = calls;
    calls.clear();
    return log.c_str();
}

int num_contexts() { return int(current.size()); }
}
