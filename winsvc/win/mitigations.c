/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * What an attacker who made a parser of ours misbehave would want next, and what says no:
 *
 *   dynamicCode      new code in memory: nothing here makes any
 *   extensionPoints  libraries that others put into every process (AppInit, old socket layers)
 *   imageLoad        libraries from network shares, from below medium integrity, or in the place of
 *                    one in System32
 *   strictHandle     a handle that is not open ends the process, so that a double close is found
 *                    and not used
 *   fonts            font files from anywhere but the system's folder
 *   win32k           (worker) all of the kernel's window system, its largest surface
 *   childProcess     (worker) other programs
 *
 * A policy that the system does not know, or that something loaded earlier stands in the way of
 * (win32k, when a thread has a message queue), is left out: what is on is in the status. Wine takes
 * all of them and does nothing. Control flow guard cannot be switched on here; it would have to be
 * compiled in, which this compiler cannot.
 *
 * Not in the controller: win32k and childProcess. It starts workers, and a console's controller has
 * the console's thread.
 */
#include "win/mitigations.h"

#include "base/util.h"

#include <windows.h>

struct policy {
    PROCESS_MITIGATION_POLICY kind;
    DWORD flags; /* each of these policies is one word of bits */
};

static const struct policy of_process[] = {
    { ProcessDynamicCodePolicy, 0x1 }, { ProcessExtensionPointDisablePolicy, 0x1 },
    { ProcessImageLoadPolicy, 0x7 },   { ProcessStrictHandleCheckPolicy, 0x3 },
    { ProcessFontDisablePolicy, 0x1 },
};

static const struct policy of_worker[] = {
    { ProcessSystemCallDisablePolicy, 0x1 },
    { ProcessChildProcessPolicy, 0x1 },
};

static void set(const struct policy *policies, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        DWORD flags = policies[i].flags;

        (void)SetProcessMitigationPolicy(policies[i].kind, &flags, sizeof flags);
    }
}

void mitigations_process(void)
{
    SetDefaultDllDirectories(LOAD_LIBRARY_SEARCH_SYSTEM32);
    SetDllDirectoryW(L""); /* takes the working directory off the search path */
    HeapSetInformation(NULL, HeapEnableTerminationOnCorruption, NULL, 0);
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOOPENFILEERRORBOX);
    set(of_process, ARRAY_SIZE(of_process));
}

void mitigations_worker(void)
{
    set(of_worker, ARRAY_SIZE(of_worker));
}
