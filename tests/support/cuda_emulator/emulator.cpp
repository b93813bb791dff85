// Runs CUDA kernels on one thread of an x86-64 CPU; compiled with the source of the kernels as SOURCE.
//
// Every CUDA thread of a block is a fiber with a stack of its own. Barriers, votes and shuffles switch to the scheduler,
// which resumes the fibers in random order, so that a missing barrier changes the result. Shared memory is filled with
// NaN before each block, so that reading it before it is written does, too. A barrier that only a part of its threads
// reaches, or at which they stand in different lines, is an error.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

using std::ceil;
using std::exp;
using std::fabs;
using std::floor;
using std::fma;
using std::log;
using std::sqrt;

#define __global__
#define __device__
#define __shared__ __attribute__((section("emulated_shared"))) static
#define __launch_bounds__(threads)
extern "C" char __start_emulated_shared[], __stop_emulated_shared[];

struct Dim {
    unsigned x, y, z;
};
static Dim blockIdx, blockDim;
#define threadIdx (emulator::current->index)

namespace emulator {

enum State { RUNNING, AT_BLOCK_BARRIER, AT_WARP_BARRIER, FINISHED };

struct Fiber {
    void* stack_pointer;
    char* stack;
    State state;
    int line;  // of the barrier
    Dim index;
    unsigned turn;  // number of exchanges with its warp
};

const size_t STACK_SIZE = 32 * 1024 + 5 * 64;  // with a power of 2, all stacks would share few lines of the caches
const unsigned WARP = 32;

static std::vector<Fiber> fibers;
static Fiber* current;
static void* scheduler_stack_pointer;
static void (*kernel)(void**);
static void** kernel_arguments;
static double lanes[2][64][WARP];  // exchanged values; in turns, as a lane may write before all others have read
static long long votes, vote_result;
static unsigned long long random_state;
static char error[256];

// Saves the registers that a called function must keep, and continues on another stack (System V ABI).
extern "C" void switch_stack(void** save, void* resume);
asm(R"(
.text
.globl switch_stack
switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");

static void wait(State state, int line) {
    current->state = state;
    current->line = line;
    switch_stack(&current->stack_pointer, scheduler_stack_pointer);
}

static void run_fiber() {
    kernel(kernel_arguments);
    current->state = FINISHED;
    switch_stack(&current->stack_pointer, scheduler_stack_pointer);
    abort();
}

static void start(Fiber& fiber) {
    void** top = (void**)(((size_t)fiber.stack + STACK_SIZE) & ~(size_t)15);
    *--top = nullptr;  // the return address of run_fiber, which does not return
    *--top = (void*)run_fiber;
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    fiber.stack_pointer = top;
    fiber.state = RUNNING;
    fiber.turn = 0;
}

// Resumes fibers [begin, end) if all that have not finished wait at the same barrier.
static bool release(size_t begin, size_t end, State state) {
    Fiber* waiting = nullptr;
    for (size_t i = begin; i < end; ++i) {
        if (fibers[i].state == FINISHED) continue;
        if (fibers[i].state != state) return false;
        if (waiting && waiting->line != fibers[i].line) {
            snprintf(error, sizeof error, "threads wait at different barriers, lines %d and %d", waiting->line,
                     fibers[i].line);
            return false;
        }
        waiting = &fibers[i];
    }
    if (!waiting) return false;
    for (size_t i = begin; i < end; ++i)
        if (fibers[i].state == state) fibers[i].state = RUNNING;
    return true;
}

static unsigned next_random() {
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return unsigned(random_state >> 33);
}

static bool run_block(unsigned threads) {
    while (fibers.size() < threads) {
        unsigned index = unsigned(fibers.size());
        fibers.push_back({nullptr, (char*)malloc(STACK_SIZE), FINISHED, 0, {index, 0, 0}, 0});
    }
    for (auto& fiber : fibers) start(fiber);
    memset(__start_emulated_shared, 0xff, __stop_emulated_shared - __start_emulated_shared);
    votes = 0;
    while (!error[0]) {
        bool progress = false, alive = false;
        unsigned index = next_random() % threads, backwards = next_random() & 1;
        for (unsigned k = 0; k < threads; ++k) {
            Fiber& fiber = fibers[index];
            if (backwards)
                index = index ? index - 1 : threads - 1;
            else
                index = index + 1 < threads ? index + 1 : 0;
            if (fiber.state != RUNNING) continue;
            current = &fiber;
            switch_stack(&scheduler_stack_pointer, fiber.stack_pointer);
            progress = true;
        }
        for (unsigned warp = 0; warp < threads; warp += WARP) progress |= release(warp, warp + WARP, AT_WARP_BARRIER);
        if (release(0, threads, AT_BLOCK_BARRIER)) {
            vote_result = votes;
            votes = 0;
            progress = true;
        }
        for (auto& fiber : fibers) alive |= fiber.state != FINISHED;
        if (!alive) return true;
        if (!progress && !error[0]) snprintf(error, sizeof error, "a barrier that not every thread reaches");
    }
    return false;
}

static int count_votes(bool vote, int line) {
    votes += vote;
    wait(AT_BLOCK_BARRIER, line);
    return int(vote_result);
}

// Shows a value to the warp; returns the values of all its lanes.
static const double* exchange(double value, int line) {
    double* values = lanes[current->turn++ % 2][current->index.x / WARP];
    values[current->index.x % WARP] = value;
    wait(AT_WARP_BARRIER, line);
    return values;
}

template <class T>
static T shuffle_xor(T value, int mask, int line) {
    unsigned lane = current->index.x % WARP;
    return T(exchange(double(value), line)[lane ^ mask]);
}

static bool any_of_warp(bool vote, int line) {
    const double* votes = exchange(vote, line);
    bool any = false;
    for (unsigned lane = 0; lane < WARP; ++lane) any |= votes[lane] != 0;
    return any;
}

template <class... Arguments, size_t... Indices>
static void call(void (*function)(Arguments...), void** arguments, std::index_sequence<Indices...>) {
    function(*(Arguments*)arguments[Indices]...);
}

template <auto Function>
struct Caller;
template <class... Arguments, void (*Function)(Arguments...)>
struct Caller<Function> {
    static void run(void** arguments) {
        call(Function, arguments, std::make_index_sequence<sizeof...(Arguments)>());
    }
    static const int num_arguments = sizeof...(Arguments);
};

}  // namespace emulator

#define __syncthreads() emulator::wait(emulator::AT_BLOCK_BARRIER, __LINE__)
#define __syncthreads_count(vote) emulator::count_votes(vote, __LINE__)
#define __shfl_xor_sync(lanes, value, mask) emulator::shuffle_xor(value, mask, __LINE__)
#define __any_sync(lanes, vote) emulator::any_of_warp(vote, __LINE__)

#include SOURCE

static const struct {
    const char* name;
    void (*run)(void**);
    int num_arguments;
} KERNELS[] = {
#define ENTRY(name) {#name, emulator::Caller<name>::run, emulator::Caller<name>::num_arguments}
    ENTRIES,
};

// Launches a kernel and waits for its end; returns an error message, or null.
extern "C" const char* emulate(const char* name, int blocks, int threads, void** arguments, int num_arguments) {
    emulator::error[0] = 0;
    emulator::kernel = nullptr;
    for (auto& entry : KERNELS) {
        if (strcmp(name, entry.name)) continue;
        emulator::kernel = entry.run;
        // The driver's API does not know the number of arguments: then it is -1.
        if (num_arguments >= 0 && num_arguments != entry.num_arguments)
            snprintf(emulator::error, sizeof emulator::error, "%s takes %d arguments, not %d", name,
                     entry.num_arguments, num_arguments);
    }
    if (!emulator::kernel) snprintf(emulator::error, sizeof emulator::error, "no kernel %s", name);
    emulator::kernel_arguments = arguments;
    blockDim = {unsigned(threads), 1, 1};
    for (int block = 0; block < blocks && !emulator::error[0]; ++block) {
        blockIdx = {unsigned(block), 0, 0};
        emulator::run_block(unsigned(threads));
    }
    return emulator::error[0] ? emulator::error : nullptr;
}
