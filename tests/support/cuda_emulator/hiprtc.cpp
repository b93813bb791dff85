// Stands in for HIPRTC: every source compiles to the bytes of the macro IMAGE, unless it is empty.
//
// The log has the number of the source's bytes and the options.

#include <cstring>
#include <string>

struct Program {
    std::string source, log;
};

extern "C" {

const char* hiprtcGetErrorString(int status) { return status == 6 ? "HIPRTC_ERROR_COMPILATION" : "HIPRTC_ERROR"; }

int hiprtcVersion(int* major, int* minor) {
    *major = 6;
    *minor = 3;
    return 0;
}

int hiprtcCreateProgram(Program** program, const char* source, const char*, int num_headers, const char**, const char**) {
    if (num_headers) return 1;
    *program = new Program{source, ""};
    return 0;
}

int hiprtcCompileProgram(Program* program, int num_options, const char** options) {
    program->log = std::to_string(program->source.size());
    for (int i = 0; i < num_options; ++i) program->log += std::string(" ") + options[i];
    return program->source.empty() ? 6 : 0;
}

int hiprtcGetProgramLogSize(Program* program, size_t* size) {
    *size = program->log.size() + 1;
    return 0;
}

int hiprtcGetProgramLog(Program* program, char* log) {
    memcpy(log, program->log.c_str(), program->log.size() + 1);
    return 0;
}

int hiprtcGetCodeSize(Program*, size_t* size) {
    *size = sizeof IMAGE;
    return 0;
}

int hiprtcGetCode(Program*, char* code) {
    memcpy(code, IMAGE, sizeof IMAGE);
    return 0;
}

int hiprtcDestroyProgram(Program** program) {
    delete *program;
    return 0;
}
}
