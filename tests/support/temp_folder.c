/* SPDX-License-Identifier: Apache-2.0 */
#include "support/temp_folder.h"

#include "support/cmocka_all.h"

#include <stdio.h>
#include <uv.h>

void temp_folder_make(char *out, size_t cap)
{
    char base[128], template[160];
    size_t len = sizeof base;
    uv_fs_t req;

    assert_int_equal(uv_os_tmpdir(base, &len), 0);
    snprintf(template, sizeof template, "%s/rdl-XXXXXX", base);
    assert_int_equal(uv_fs_mkdtemp(NULL, &req, template, NULL), 0);
    assert_true((size_t)snprintf(out, cap, "%s", req.path) < cap);
    uv_fs_req_cleanup(&req);
}

void temp_folder_remove(const char *path)
{
    uv_fs_t req;

    (void)uv_fs_rmdir(NULL, &req, path, NULL);
    uv_fs_req_cleanup(&req);
}
