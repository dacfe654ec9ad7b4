/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: one policy for each option. Enabling it writes the value of the option's name below
 * SOFTWARE\Policies\rdlink: a flag as REG_DWORD 1 (disabling it writes 0), a number as REG_DWORD, a
 * list as REG_MULTI_SZ, everything else as REG_SZ. "Not configured" leaves the value out, so the
 * option is not locked. Names of policies may not have a '-', those of values may.
 */
#include "config/policy_template.h"

#include "config/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ID_MAX = OPTION_KEY_MAX + 1, LINE_MAX_BYTES = 512 };

struct template
{
    policy_print_fn *print;
    void *ctx;
};

#define SCHEMA                                                 \
    "xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" "          \
    "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" " \
    "revision=\"1.0\" schemaVersion=\"1.0\" "                  \
    "xmlns=\"http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions\""

static void put(const struct template *t, const char *text)
{
    t->print(t->ctx, text);
}

/* Text between tags. */
static void put_escaped(const struct template *t, const char *text)
{
    char piece[2] = "";

    for (; *text; text++) {
        piece[0] = *text;
        put(t, *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : piece);
    }
}

static const char *id_of(const struct option *o, char id[ID_MAX])
{
    snprintf(id, ID_MAX, "%s", o->key);
    for (char *at = id; (at = strchr(at, '-'));)
        *at = '_';
    return id;
}

static bool is_policy(const struct option *o)
{
    return strcmp(o->key, "config") != 0 && !strstr(o->help, "for tests");
}

/* Each option that is a policy. */
static void each(const struct template *t,
                 void (*one)(const struct template *t, const struct option *o, const char *id))
{
    size_t count;
    const struct option *table = config_options(&count);
    char id[ID_MAX];

    for (size_t i = 0; i < count; i++)
        if (is_policy(&table[i]))
            one(t, &table[i], id_of(&table[i], id));
}

/* ---- what may be set ------------------------------------------------------------------------ */

static void put_element(const struct template *t, const struct option *o, const char *id)
{
    char line[LINE_MAX_BYTES];

    switch (o->kind) {
    case OPTION_FLAG:
        put(t, "      <enabledValue><decimal value=\"1\"/></enabledValue>\n"
               "      <disabledValue><decimal value=\"0\"/></disabledValue>\n");
        return;
    case OPTION_UINT:
        snprintf(line, sizeof line,
                 "      <elements><decimal id=\"%s\" valueName=\"%s\" required=\"true\" "
                 "minValue=\"%" PRIu32 "\" maxValue=\"%" PRIu32 "\"/></elements>\n",
                 id, o->key, o->min, o->max ? o->max : UINT32_MAX);
        break;
    case OPTION_LIST:
        snprintf(line, sizeof line,
                 "      <elements><multiText id=\"%s\" valueName=\"%s\" maxLength=\"%d\" "
                 "maxStrings=\"%d\"/></elements>\n",
                 id, o->key, OPTION_VALUE_MAX - 1, OPTION_LIST_MAX);
        break;
    case OPTION_DURATION:
    case OPTION_STRING:
        snprintf(line, sizeof line,
                 "      <elements><text id=\"%s\" valueName=\"%s\" required=\"true\" "
                 "maxLength=\"%d\"/></elements>\n",
                 id, o->key, OPTION_VALUE_MAX - 1);
        break;
    }
    put(t, line);
}

static void put_policy(const struct template *t, const struct option *o, const char *id)
{
    char line[LINE_MAX_BYTES], more[2 * ID_MAX + 40];
    bool is_flag = o->kind == OPTION_FLAG;

    snprintf(more, sizeof more,
             is_flag ? "valueName=\"%s\"" : "presentation=\"$(presentation.%s)\"",
             is_flag ? o->key : id);
    snprintf(line, sizeof line,
             "    <policy name=\"%s\" class=\"Machine\" displayName=\"$(string.%s)\" "
             "explainText=\"$(string.%s_help)\" key=\"SOFTWARE\\Policies\\rdlink\" %s>\n",
             id, id, id, more);
    put(t, line);
    put(t, "      <parentCategory ref=\"rdlink\"/>\n"
           "      <supportedOn ref=\"SUPPORTED_rdlink\"/>\n");
    put_element(t, o, id);
    put(t, "    </policy>\n");
}

void policy_template_admx(policy_print_fn *print, void *ctx)
{
    const struct template t = { print, ctx };

    put(&t, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
            "<policyDefinitions " SCHEMA ">\n"
            "  <policyNamespaces>\n"
            "    <target prefix=\"rdlink\" namespace=\"RancherDesktopLink.Policies\"/>\n"
            "  </policyNamespaces>\n"
            "  <resources minRequiredRevision=\"1.0\"/>\n"
            "  <supportedOn><definitions>\n"
            "    <definition name=\"SUPPORTED_rdlink\" "
            "displayName=\"$(string.SUPPORTED_rdlink)\"/>\n"
            "  </definitions></supportedOn>\n"
            "  <categories>\n"
            "    <category name=\"rdlink\" displayName=\"$(string.rdlink)\"/>\n"
            "  </categories>\n"
            "  <policies>\n");
    each(&t, put_policy);
    put(&t, "  </policies>\n"
            "</policyDefinitions>\n");
}

/* ---- texts ---------------------------------------------------------------------------------- */

static void put_strings(const struct template *t, const struct option *o, const char *id)
{
    char line[LINE_MAX_BYTES];

    snprintf(line, sizeof line, "      <string id=\"%s\">%s</string>\n", id, o->key);
    put(t, line);
    snprintf(line, sizeof line, "      <string id=\"%s_help\">", id);
    put(t, line);
    put_escaped(t, o->help);
    if (o->kind == OPTION_DURATION)
        put(t, " (a time such as 250ms, 5s or 2m)");
    if (o->fallback && o->fallback[0]) {
        put(t, ". Default: ");
        put_escaped(t, o->fallback);
    }
    put(t, "</string>\n");
}

static void put_presentation(const struct template *t, const struct option *o, const char *id)
{
    char line[LINE_MAX_BYTES];

    if (o->kind == OPTION_FLAG)
        return;
    snprintf(line, sizeof line, "      <presentation id=\"%s\">", id);
    put(t, line);
    if (o->kind == OPTION_UINT)
        snprintf(line, sizeof line,
                 "<decimalTextBox refId=\"%s\" defaultValue=\"%s\">%s</decimalTextBox>", id,
                 o->fallback ? o->fallback : "0", o->key);
    else if (o->kind == OPTION_LIST)
        snprintf(line, sizeof line, "<multiTextBox refId=\"%s\"/>", id);
    else
        snprintf(line, sizeof line, "<textBox refId=\"%s\"><label>%s</label></textBox>", id,
                 o->key);
    put(t, line);
    put(t, "</presentation>\n");
}

void policy_template_adml(policy_print_fn *print, void *ctx)
{
    const struct template t = { print, ctx };

    put(&t, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
            "<policyDefinitionResources " SCHEMA ">\n"
            "  <displayName>Rancher Desktop Link</displayName>\n"
            "  <description>What rdlinkd goes by; a policy locks its option.</description>\n"
            "  <resources>\n"
            "    <stringTable>\n"
            "      <string id=\"rdlink\">Rancher Desktop Link</string>\n"
            "      <string id=\"SUPPORTED_rdlink\">Windows 10 or later</string>\n");
    each(&t, put_strings);
    put(&t, "    </stringTable>\n"
            "    <presentationTable>\n");
    each(&t, put_presentation);
    put(&t, "    </presentationTable>\n"
            "  </resources>\n"
            "</policyDefinitionResources>\n");
}
