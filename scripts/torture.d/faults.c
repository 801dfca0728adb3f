/* Makes chosen file calls of a program fail, or kills it there; and counts them.
 *
 *     cc -O2 -shared -fPIC -o faults.so faults.c
 *     LD_PRELOAD=faults.so FAULTS_UNDER=DIR FAULTS_TRACE=FILE FAULTS='write@7=28;rename@2+=5' PROGRAM
 *
 * A preloaded library and not a switch in the program, because it then also covers what libraries do, and the program
 * needs no code for tests. It does not replace functions of libc: some libraries make their system calls themselves.
 * A seccomp filter sends the system calls in question to a handler, which makes them or not.
 *
 * FAULTS_UNDER  absolute directories, separated by colons; only calls on paths in them are counted
 * FAULTS_TRACE  a file that gets one line for each counted call: number, name, error number (0: none; negative: made
 *               here), path
 * FAULTS        rules, separated by semicolons: NAMES[:PART]@FIRST[xTIMES|+]=ACTION
 *     NAMES   names of calls, separated by commas; `change` for all that change something, `any` for all
 *     PART    only calls on paths that contain this text
 *     FIRST   the first call of these that is meant, counted from 1
 *     TIMES   how many calls are meant; + for all from then on; one otherwise
 *     ACTION  an error number; `short-B` to write only B bytes; `kill` before the call; `killed` after it; `torn` after
 *             half of a write
 *
 * The names: open create write sync syncdir rename link symlink truncate mkdir unlink chmod lock bind copy read list
 * stat close. `create` opens with O_CREAT, `syncdir` flushes a directory. Linux on x86-64 only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef __x86_64__
#error "faults.c knows the system calls of x86-64 only"
#endif

/* A system call whose result is -errno. The filter lets calls from this place through. */
long direct(long number, ...);
extern const char direct_end[];
__asm__(".text\n"
        ".globl direct, direct_end\n"
        "direct:\n"
        "  mov %rdi, %rax\n  mov %rsi, %rdi\n  mov %rdx, %rsi\n  mov %rcx, %rdx\n  mov %r8, %r10\n  mov %r9, %r8\n"
        "  mov 8(%rsp), %r9\n  syscall\n"
        "direct_end:\n"
        "  ret\n");

enum { CHANGES = 1, PATH = 2, AT = 4, FD = 8, SECOND = 16, ADDRESS = 32 };

/* How a call names its file: PATH as its first argument, AT as a directory and a path, FD as a descriptor; SECOND: the
 * file meant is the one that a rename or link makes. */
static const struct call {
    int number;
    const char *name;
    int how;
} CALLS[] = {
    {SYS_open, "open", PATH}, {SYS_openat, "open", AT}, {SYS_creat, "create", PATH | CHANGES},
    {SYS_write, "write", FD | CHANGES}, {SYS_pwrite64, "write", FD | CHANGES},
    {SYS_writev, "write", FD | CHANGES}, {SYS_pwritev, "write", FD | CHANGES},
    {SYS_fsync, "sync", FD | CHANGES}, {SYS_fdatasync, "sync", FD | CHANGES},
    {SYS_rename, "rename", SECOND | PATH | CHANGES}, {SYS_renameat, "rename", SECOND | AT | CHANGES},
    {SYS_renameat2, "rename", SECOND | AT | CHANGES},
    {SYS_link, "link", SECOND | PATH | CHANGES}, {SYS_linkat, "link", SECOND | AT | CHANGES},
    {SYS_symlink, "symlink", SECOND | PATH | CHANGES}, {SYS_symlinkat, "symlink", CHANGES},
    {SYS_truncate, "truncate", PATH | CHANGES}, {SYS_ftruncate, "truncate", FD | CHANGES},
    {SYS_fallocate, "truncate", FD | CHANGES},
    {SYS_mkdir, "mkdir", PATH | CHANGES}, {SYS_mkdirat, "mkdir", AT | CHANGES},
    {SYS_unlink, "unlink", PATH | CHANGES}, {SYS_rmdir, "unlink", PATH | CHANGES},
    {SYS_unlinkat, "unlink", AT | CHANGES},
    {SYS_chmod, "chmod", PATH | CHANGES}, {SYS_fchmod, "chmod", FD | CHANGES}, {SYS_fchmodat, "chmod", AT | CHANGES},
    {SYS_flock, "lock", FD}, {SYS_fcntl, "lock", FD}, {SYS_bind, "bind", ADDRESS | CHANGES},
    {SYS_copy_file_range, "copy", FD | CHANGES}, {SYS_sendfile, "copy", FD | CHANGES},
    {SYS_read, "read", FD}, {SYS_pread64, "read", FD}, {SYS_readv, "read", FD}, {SYS_getdents64, "list", FD},
    {SYS_stat, "stat", PATH}, {SYS_lstat, "stat", PATH}, {SYS_fstat, "stat", FD}, {SYS_newfstatat, "stat", AT},
    {SYS_statx, "stat", AT}, {SYS_close, "close", FD},
};
enum { NUMBER = sizeof CALLS / sizeof *CALLS };

enum action { FAIL, SHORT, KILL, KILLED, TORN };
static struct rule {
    char names[128], part[64];
    long first, times, argument, seen;
    enum action action;
} rules[16];
static int rule_count, trace = -1;
static long counted;
static char under[4][512];
static int under_count;

static int is_under(const char *path) {
    for (int i = 0; i < under_count; i++) {
        size_t length = strlen(under[i]);
        if (!strncmp(path, under[i], length) && (path[length] == '/' || !path[length])) return 1;
    }
    return 0;
}

/* The path of a descriptor, or of the current directory; empty if it has none. */
static void path_of(int fd, char *path, size_t size) {
    char link[40] = "/proc/self/cwd";
    if (fd != AT_FDCWD) {
        char digits[12], *d = digits + sizeof digits;
        unsigned n = fd;
        *--d = 0;
        do *--d = '0' + n % 10; while (n /= 10);
        strcpy(link, "/proc/self/fd/");
        strcat(link, d);
    }
    long length = direct(SYS_readlink, link, path, size - 1);
    path[length > 0 ? length : 0] = 0;
}

static void joined(int directory, const char *name, char *path, size_t size) {
    path[0] = 0;
    if (!name || *name != '/') {
        path_of(directory, path, size);
        if (!name || !*name) return;
        strncat(path, "/", size - strlen(path) - 1);
    }
    while (!strncmp(name, "./", 2)) name += 2;
    strncat(path, name, size - strlen(path) - 1);
}

static void file_of(const struct call *call, const greg_t *r, char *path, size_t size) {
    long a = r[REG_RDI], b = r[REG_RSI], d = r[REG_R10];
    path[0] = 0;
    if (call->how & FD) path_of(call->number == SYS_copy_file_range ? (int)r[REG_RDX] : (int)a, path, size);
    else if (call->number == SYS_symlinkat) joined((int)b, (const char *)r[REG_RDX], path, size);
    else if ((call->how & (SECOND | AT)) == (SECOND | AT)) joined((int)r[REG_RDX], (const char *)d, path, size);
    else if (call->how & SECOND) joined(AT_FDCWD, (const char *)b, path, size);
    else if (call->how & AT) joined((int)a, (const char *)b, path, size);
    else if (call->how & PATH) joined(AT_FDCWD, (const char *)a, path, size);
    else if (call->how & ADDRESS) {
        const struct sockaddr_un *address = (const void *)b;
        if (address->sun_family == AF_UNIX && address->sun_path[0]) joined(AT_FDCWD, address->sun_path, path, size);
    }
}

static int is_named(const char *names, const char *name, int changes) {
    size_t length = strlen(name);
    for (const char *n = names; *n;) {
        size_t l = strcspn(n, ",");
        if ((l == length && !strncmp(n, name, l)) || (l == 3 && !strncmp(n, "any", 3)) ||
            (changes && l == 6 && !strncmp(n, "change", 6)))
            return 1;
        n += l + (n[l] == ',');
    }
    return 0;
}

static void put_number(char **at, long n) {
    char digits[24], *d = digits + sizeof digits;
    *--d = 0;
    do *--d = '0' + n % 10; while (n /= 10);
    strcpy(*at, d);
    *at += strlen(d);
}

static void note(long number, const char *name, long error, const char *path) {
    if (trace < 0) return;
    char line[1200], *at = line;
    put_number(&at, number);
    *at++ = ' ';
    at = stpcpy(at, name);
    *at++ = ' ';
    if (error < 0) *at++ = '-';
    put_number(&at, error < 0 ? -error : error);
    *at++ = ' ';
    size_t length = strlen(path) < 1024 ? strlen(path) : 1024;
    memcpy(at, path, length);
    at += length;
    *at++ = '\n';
    direct(SYS_write, trace, line, at - line);
}

static long call_through(const greg_t *r) {
    return direct(r[REG_RAX], r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9]);
}

/* Writes at most `most` bytes. */
static long write_short(const greg_t *r, long most) {
    long number = r[REG_RAX];
    if (number == SYS_write || number == SYS_pwrite64) {
        long length = r[REG_RDX] < most ? r[REG_RDX] : most;
        return direct(number, r[REG_RDI], r[REG_RSI], length, r[REG_R10], 0L, 0L);
    }
    if (number == SYS_writev && r[REG_RDX] > 0) {
        struct iovec one = *(struct iovec *)r[REG_RSI];
        if ((long)one.iov_len > most) one.iov_len = most;
        return direct(SYS_writev, r[REG_RDI], &one, 1L, 0L, 0L, 0L);
    }
    return call_through(r);
}

static long length_of(const greg_t *r) { return r[REG_RAX] == SYS_writev ? 2 : r[REG_RDX]; }

__attribute__((noreturn)) static void die(void) {
    for (;;) direct(SYS_kill, direct(SYS_getpid), (long)SIGKILL);
}

static long handle(const greg_t *r) {
    const struct call *call = CALLS;
    while (call < CALLS + NUMBER && call->number != r[REG_RAX]) call++;
    if (call == CALLS + NUMBER) return call_through(r);
    int command = (int)r[REG_RSI];
    if (call->number == SYS_fcntl && command != F_SETLK && command != F_SETLKW && command != F_OFD_SETLK &&
        command != F_OFD_SETLKW)
        return call_through(r);
    char path[1100];
    file_of(call, r, path, sizeof path);
    if (!is_under(path)) return call_through(r);

    const char *name = call->name;
    int changes = call->how & CHANGES;
    long flags = call->number == SYS_open ? r[REG_RSI] : call->number == SYS_openat ? r[REG_RDX] : 0;
    if (flags & (O_CREAT | O_TRUNC)) {
        struct stat found;
        int is_new = (flags & O_TRUNC) || direct(SYS_stat, path, &found) < 0;
        name = "create";
        changes = is_new;
    }
    struct stat what;
    if (!strcmp(name, "sync") && direct(SYS_fstat, r[REG_RDI], &what) == 0 && S_ISDIR(what.st_mode)) name = "syncdir";

    long number = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
    for (struct rule *rule = rules; rule < rules + rule_count; rule++) {
        if (!is_named(rule->names, name, changes) || (*rule->part && !strstr(path, rule->part))) continue;
        long seen = __atomic_add_fetch(&rule->seen, 1, __ATOMIC_SEQ_CST);
        if (seen < rule->first || (rule->times && seen >= rule->first + rule->times)) continue;
        long result;
        switch (rule->action) {
        case FAIL:
            note(number, name, -rule->argument, path);
            if (call->number == SYS_close) call_through(r);
            return -rule->argument;
        case SHORT:
            result = write_short(r, rule->argument);
            break;
        case TORN:
            write_short(r, length_of(r) / 2);
            note(number, name, 0, path);
            die();
        case KILLED:
            call_through(r);
            note(number, name, 0, path);
            die();
        default:
            note(number, name, 0, path);
            die();
        }
        note(number, name, result < 0 ? -result : 0, path);
        return result;
    }
    long result = call_through(r);
    note(number, name, result < 0 ? -result : 0, path);
    return result;
}

static void trapped(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    int before = errno;
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    r[REG_RAX] = handle(r);
    errno = before;
}

static void give_up(const char *why) {
    fprintf(stderr, "faults: %s\n", why);
    _exit(99);
}

static void read_rules(char *text) {
    for (char *end, *one = strtok_r(text, ";", &end); one; one = strtok_r(NULL, ";", &end)) {
        struct rule *rule = &rules[rule_count];
        char *at = strrchr(one, '@'), *is = at ? strchr(at, '=') : NULL, *part, *rest;
        if (!is || rule_count == sizeof rules / sizeof *rules) give_up("a rule is not understood");
        *at = *is = 0;
        if ((part = strchr(one, ':'))) {
            *part++ = 0;
            snprintf(rule->part, sizeof rule->part, "%s", part);
        }
        snprintf(rule->names, sizeof rule->names, "%s", one);
        rule->first = strtol(at + 1, &rest, 10);
        rule->times = *rest == '+' ? 0 : *rest == 'x' ? atol(rest + 1) : 1;
        const char *action = is + 1;
        rule->action = !strncmp(action, "short-", 6) ? SHORT
                       : !strcmp(action, "kill")     ? KILL
                       : !strcmp(action, "killed")   ? KILLED
                       : !strcmp(action, "torn")     ? TORN
                                                     : FAIL;
        rule->argument = atol(rule->action == SHORT ? action + 6 : action);
        rule_count++;
    }
}

__attribute__((constructor)) static void begin(void) {
    char *directories = getenv("FAULTS_UNDER"), *file = getenv("FAULTS_TRACE"), *text = getenv("FAULTS");
    if (!directories) return;
    for (char *end, *d = strtok_r(strdup(directories), ":", &end); d && under_count < 4; d = strtok_r(NULL, ":", &end))
        snprintf(under[under_count++], sizeof *under, "%s", d);
    if (file) {
        /* A high number, so that the program's own descriptors keep theirs. */
        int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (fd < 0 || (trace = fcntl(fd, F_DUPFD_CLOEXEC, 900)) < 0) give_up("the trace cannot be written");
        close(fd);
    }
    if (text) read_rules(strdup(text));

    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSYS, &action, NULL);
    uint64_t end = (uint64_t)(uintptr_t)direct_end;
    static struct sock_filter filter[16 + 2 * NUMBER];
    int n = 0;
#define STEP(...) filter[n++] = (struct sock_filter)__VA_ARGS__
    STEP(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)));
    STEP(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)end, 0, 3));
    STEP(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4));
    STEP(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(end >> 32), 0, 1));
    STEP(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    STEP(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    for (int i = 0; i < NUMBER; i++) {
        STEP(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)CALLS[i].number, 0, 1));
        STEP(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
    }
    STEP(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    struct sock_fprog program = {.len = n, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        give_up("seccomp filters are not allowed here");
}
